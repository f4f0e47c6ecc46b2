package peer;

import java.io.IOException;
import java.io.Serializable;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** A record with a due time: its number is its place in the schedule, and of a result the count of its key. */
public final class Tick implements Serializable {
    public long key;
    public long number;
    public long dueNanos;

    static final Form.Info<Tick> INFO = new Form.Info<>(Tick.class, new Longs());

    private static final class Longs extends Form<Tick> {
        Longs() {
            super(3);
        }

        @Override
        public Tick createInstance() {
            return new Tick();
        }

        @Override
        public Tick copy(Tick from, Tick to) {
            to.key = from.key;
            to.number = from.number;
            to.dueNanos = from.dueNanos;
            return to;
        }

        @Override
        public void serialize(Tick tick, DataOutputView target) throws IOException {
            target.writeLong(tick.key);
            target.writeLong(tick.number);
            target.writeLong(tick.dueNanos);
        }

        @Override
        public Tick deserialize(Tick reuse, DataInputView source) throws IOException {
            reuse.key = source.readLong();
            reuse.number = source.readLong();
            reuse.dueNanos = source.readLong();
            return reuse;
        }
    }
}
