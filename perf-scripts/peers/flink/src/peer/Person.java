package peer;

import java.io.IOException;
import java.io.Serializable;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** A person. */
public final class Person implements Serializable {
    public long id;
    public long stateId;
    public long cityId;
    public long dateTime;

    static final Form.Info<Person> INFO = new Form.Info<>(Person.class, new Longs());

    private static final class Longs extends Form<Person> {
        Longs() {
            super(4);
        }

        @Override
        public Person createInstance() {
            return new Person();
        }

        @Override
        public Person copy(Person from, Person to) {
            to.id = from.id;
            to.stateId = from.stateId;
            to.cityId = from.cityId;
            to.dateTime = from.dateTime;
            return to;
        }

        @Override
        public void serialize(Person record, DataOutputView target) throws IOException {
            target.writeLong(record.id);
            target.writeLong(record.stateId);
            target.writeLong(record.cityId);
            target.writeLong(record.dateTime);
        }

        @Override
        public Person deserialize(Person reuse, DataInputView source) throws IOException {
            reuse.id = source.readLong();
            reuse.stateId = source.readLong();
            reuse.cityId = source.readLong();
            reuse.dateTime = source.readLong();
            return reuse;
        }
    }
}
