package peer;

import java.io.IOException;
import java.util.Arrays;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** A word with its hash, which deals it out, finds its count, and stands for it in the checksum. */
public final class Word {
    public long hash;
    public byte[] bytes;

    static final Form.Info<Word> INFO = new Form.Info<>(Word.class, new Bytes());

    @Override
    public boolean equals(Object other) {
        return other instanceof Word word && word.hash == hash && Arrays.equals(word.bytes, bytes);
    }

    @Override
    public int hashCode() {
        return (int) (hash ^ (hash >>> 32));
    }

    private static final class Bytes extends Form<Word> {
        Bytes() {
            super(-1);
        }

        @Override
        public Word createInstance() {
            return new Word();
        }

        /** The bytes of a word never change. */
        @Override
        public Word copy(Word from, Word to) {
            to.hash = from.hash;
            to.bytes = from.bytes;
            return to;
        }

        @Override
        public void serialize(Word word, DataOutputView target) throws IOException {
            target.writeLong(word.hash);
            target.writeInt(word.bytes.length);
            target.write(word.bytes);
        }

        @Override
        public Word deserialize(Word reuse, DataInputView source) throws IOException {
            reuse.hash = source.readLong();
            reuse.bytes = new byte[source.readInt()];
            source.readFully(reuse.bytes);
            return reuse;
        }

        @Override
        public void copy(DataInputView source, DataOutputView target) throws IOException {
            serialize(deserialize(source), target);
        }
    }
}
