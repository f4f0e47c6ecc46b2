package peer;

import java.io.IOException;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** A sum in state. Heap state keeps the object itself: it is added to in place, after one look-up. */
public final class Counter {
    public long value;

    static final Form.Info<Counter> INFO = new Form.Info<>(Counter.class, new Longs());

    private static final class Longs extends Form<Counter> {
        Longs() {
            super(1);
        }

        @Override
        public Counter createInstance() {
            return new Counter();
        }

        @Override
        public Counter copy(Counter from, Counter to) {
            to.value = from.value;
            return to;
        }

        @Override
        public void serialize(Counter record, DataOutputView target) throws IOException {
            target.writeLong(record.value);
        }

        @Override
        public Counter deserialize(Counter reuse, DataInputView source) throws IOException {
            reuse.value = source.readLong();
            return reuse;
        }
    }
}
