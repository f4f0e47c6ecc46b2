package peer;

import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** A line, as a part of the block that it came in. It is split in the chain of its source. */
public final class Line {
    public byte[] bytes;
    public int from;
    public int to;

    static final Form.Info<Line> INFO = new Form.Info<>(Line.class, new Kept());

    private static final class Kept extends Form<Line> {
        Kept() {
            super(-1);
        }

        @Override
        public Line createInstance() {
            return new Line();
        }

        @Override
        public Line copy(Line from, Line to) {
            to.bytes = from.bytes;
            to.from = from.from;
            to.to = from.to;
            return to;
        }

        @Override
        public void serialize(Line line, DataOutputView target) {
            throw new UnsupportedOperationException("a line stays in its chain");
        }

        @Override
        public Line deserialize(Line reuse, DataInputView source) {
            throw new UnsupportedOperationException("a line stays in its chain");
        }
    }
}
