package peer;

import java.io.IOException;
import java.io.Serializable;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** An auction or a person by its name; its time goes with the record anyway. */
public final class Id implements Serializable {
    public long id;

    static final Form.Info<Id> INFO = new Form.Info<>(Id.class, new Longs());

    private static final class Longs extends Form<Id> {
        Longs() {
            super(1);
        }

        @Override
        public Id createInstance() {
            return new Id();
        }

        @Override
        public Id copy(Id from, Id to) {
            to.id = from.id;
            return to;
        }

        @Override
        public void serialize(Id record, DataOutputView target) throws IOException {
            target.writeLong(record.id);
        }

        @Override
        public Id deserialize(Id reuse, DataInputView source) throws IOException {
            reuse.id = source.readLong();
            return reuse;
        }
    }
}
