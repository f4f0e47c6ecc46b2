package peer;

import java.util.Arrays;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Auctions in state that wait for their seller. Heap state keeps the object itself. */
public final class Numbers {
    public long[] values = new long[1];
    public int length;

    static final Form.Info<Numbers> INFO = new Form.Info<>(Numbers.class, new Kept());

    void add(long value) {
        if (length == values.length) {
            values = Arrays.copyOf(values, 2 * length);
        }
        values[length++] = value;
    }

    private static final class Kept extends Form<Numbers> {
        Kept() {
            super(-1);
        }

        @Override
        public Numbers createInstance() {
            return new Numbers();
        }

        @Override
        public Numbers copy(Numbers from, Numbers to) {
            to.values = from.values.clone();
            to.length = from.length;
            return to;
        }

        @Override
        public void serialize(Numbers numbers, DataOutputView target) {
            throw new UnsupportedOperationException("nothing is checkpointed here");
        }

        @Override
        public Numbers deserialize(Numbers reuse, DataInputView source) {
            throw new UnsupportedOperationException("nothing is checkpointed here");
        }
    }
}
