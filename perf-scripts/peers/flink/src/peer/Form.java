package peer;

import java.io.IOException;
import org.apache.flink.api.common.serialization.SerializerConfig;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * A serializer by hand, for a type that is a fixed number of longs: what differs is written by each
 * subclass, field by field.
 */
abstract class Form<T> extends TypeSerializer<T> {
    /** Longs of a record, or -1 where records differ. */
    private final int longs;

    Form(int longs) {
        this.longs = longs;
    }

    @Override
    public boolean isImmutableType() {
        return false;
    }

    /** Without state of its own, one does for all threads. */
    @Override
    public TypeSerializer<T> duplicate() {
        return this;
    }

    @Override
    public T copy(T from) {
        return copy(from, createInstance());
    }

    @Override
    public int getLength() {
        return longs < 0 ? -1 : longs * Long.BYTES;
    }

    @Override
    public T deserialize(DataInputView source) throws IOException {
        return deserialize(createInstance(), source);
    }

    @Override
    public void copy(DataInputView source, DataOutputView target) throws IOException {
        for (int at = 0; at < longs; at++) {
            target.writeLong(source.readLong());
        }
    }

    @Override
    public boolean equals(Object other) {
        return other != null && other.getClass() == getClass();
    }

    @Override
    public int hashCode() {
        return getClass().hashCode();
    }

    /** Nothing is checkpointed here. */
    @Override
    public TypeSerializerSnapshot<T> snapshotConfiguration() {
        throw new UnsupportedOperationException();
    }

    /** The type as Flink wants it described. */
    static final class Info<T> extends TypeInformation<T> {
        private final Class<T> type;
        private final Form<T> form;

        Info(Class<T> type, Form<T> form) {
            this.type = type;
            this.form = form;
        }

        @Override
        public boolean isBasicType() {
            return false;
        }

        @Override
        public boolean isTupleType() {
            return false;
        }

        @Override
        public int getArity() {
            return 1;
        }

        @Override
        public int getTotalFields() {
            return 1;
        }

        @Override
        public Class<T> getTypeClass() {
            return type;
        }

        @Override
        public boolean isKeyType() {
            return true;
        }

        @Override
        public TypeSerializer<T> createSerializer(SerializerConfig config) {
            return form;
        }

        @Override
        public String toString() {
            return type.getSimpleName();
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Info<?> info && info.type == type;
        }

        @Override
        public int hashCode() {
            return type.hashCode();
        }

        @Override
        public boolean canEqual(Object other) {
            return other instanceof Info<?>;
        }
    }
}
