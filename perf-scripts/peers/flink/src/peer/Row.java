package peer;

import java.io.IOException;
import java.io.Serializable;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** A result of up to four fields. */
public final class Row implements Serializable {
    public long a;
    public long b;
    public long c;
    public long d;

    static final Form.Info<Row> INFO = new Form.Info<>(Row.class, new Longs());

    private static final class Longs extends Form<Row> {
        Longs() {
            super(4);
        }

        @Override
        public Row createInstance() {
            return new Row();
        }

        @Override
        public Row copy(Row from, Row to) {
            to.a = from.a;
            to.b = from.b;
            to.c = from.c;
            to.d = from.d;
            return to;
        }

        @Override
        public void serialize(Row record, DataOutputView target) throws IOException {
            target.writeLong(record.a);
            target.writeLong(record.b);
            target.writeLong(record.c);
            target.writeLong(record.d);
        }

        @Override
        public Row deserialize(Row reuse, DataInputView source) throws IOException {
            reuse.a = source.readLong();
            reuse.b = source.readLong();
            reuse.c = source.readLong();
            reuse.d = source.readLong();
            return reuse;
        }
    }
}
