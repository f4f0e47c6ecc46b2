package peer;

import java.io.IOException;
import java.io.Serializable;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** A key with a value, or with its sum. */
public final class Keyed implements Serializable {
    public long key;
    public long value;

    static final Form.Info<Keyed> INFO = new Form.Info<>(Keyed.class, new Longs());

    private static final class Longs extends Form<Keyed> {
        Longs() {
            super(2);
        }

        @Override
        public Keyed createInstance() {
            return new Keyed();
        }

        @Override
        public Keyed copy(Keyed from, Keyed to) {
            to.key = from.key;
            to.value = from.value;
            return to;
        }

        @Override
        public void serialize(Keyed record, DataOutputView target) throws IOException {
            target.writeLong(record.key);
            target.writeLong(record.value);
        }

        @Override
        public Keyed deserialize(Keyed reuse, DataInputView source) throws IOException {
            reuse.key = source.readLong();
            reuse.value = source.readLong();
            return reuse;
        }
    }
}
