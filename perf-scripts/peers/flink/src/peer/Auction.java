package peer;

import java.io.IOException;
import java.io.Serializable;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** An auction. */
public final class Auction implements Serializable {
    public long id;
    public long seller;
    public long category;
    public long initialBid;
    public long dateTime;
    public long expires;

    static final Form.Info<Auction> INFO = new Form.Info<>(Auction.class, new Longs());

    private static final class Longs extends Form<Auction> {
        Longs() {
            super(6);
        }

        @Override
        public Auction createInstance() {
            return new Auction();
        }

        @Override
        public Auction copy(Auction from, Auction to) {
            to.id = from.id;
            to.seller = from.seller;
            to.category = from.category;
            to.initialBid = from.initialBid;
            to.dateTime = from.dateTime;
            to.expires = from.expires;
            return to;
        }

        @Override
        public void serialize(Auction record, DataOutputView target) throws IOException {
            target.writeLong(record.id);
            target.writeLong(record.seller);
            target.writeLong(record.category);
            target.writeLong(record.initialBid);
            target.writeLong(record.dateTime);
            target.writeLong(record.expires);
        }

        @Override
        public Auction deserialize(Auction reuse, DataInputView source) throws IOException {
            reuse.id = source.readLong();
            reuse.seller = source.readLong();
            reuse.category = source.readLong();
            reuse.initialBid = source.readLong();
            reuse.dateTime = source.readLong();
            reuse.expires = source.readLong();
            return reuse;
        }
    }
}
