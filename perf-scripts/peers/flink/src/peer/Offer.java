package peer;

import java.io.IOException;
import java.io.Serializable;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** What meeting needs of an auction: its seller and its name. */
public final class Offer implements Serializable {
    public long seller;
    public long auction;

    static final Form.Info<Offer> INFO = new Form.Info<>(Offer.class, new Longs());

    private static final class Longs extends Form<Offer> {
        Longs() {
            super(2);
        }

        @Override
        public Offer createInstance() {
            return new Offer();
        }

        @Override
        public Offer copy(Offer from, Offer to) {
            to.seller = from.seller;
            to.auction = from.auction;
            return to;
        }

        @Override
        public void serialize(Offer record, DataOutputView target) throws IOException {
            target.writeLong(record.seller);
            target.writeLong(record.auction);
        }

        @Override
        public Offer deserialize(Offer reuse, DataInputView source) throws IOException {
            reuse.seller = source.readLong();
            reuse.auction = source.readLong();
            return reuse;
        }
    }
}
