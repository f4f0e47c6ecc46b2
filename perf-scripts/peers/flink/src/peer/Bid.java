package peer;

import java.io.IOException;
import java.io.Serializable;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** A bid. */
public final class Bid implements Serializable {
    public long auction;
    public long bidder;
    public long price;
    public long dateTime;

    static final Form.Info<Bid> INFO = new Form.Info<>(Bid.class, new Longs());

    private static final class Longs extends Form<Bid> {
        Longs() {
            super(4);
        }

        @Override
        public Bid createInstance() {
            return new Bid();
        }

        @Override
        public Bid copy(Bid from, Bid to) {
            to.auction = from.auction;
            to.bidder = from.bidder;
            to.price = from.price;
            to.dateTime = from.dateTime;
            return to;
        }

        @Override
        public void serialize(Bid record, DataOutputView target) throws IOException {
            target.writeLong(record.auction);
            target.writeLong(record.bidder);
            target.writeLong(record.price);
            target.writeLong(record.dateTime);
        }

        @Override
        public Bid deserialize(Bid reuse, DataInputView source) throws IOException {
            reuse.auction = source.readLong();
            reuse.bidder = source.readLong();
            reuse.price = source.readLong();
            reuse.dateTime = source.readLong();
            return reuse;
        }
    }
}
