package peer;

import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/** Folds a subtask's bids into the highest of every window. */
final class Fold extends Panes<Bid> {
    Fold() {
        super(Windows.SIZE_MS);
    }

    /** What every bid is dearer than. */
    @Override
    Bid none() {
        Bid bid = new Bid();
        bid.price = -1;
        return bid;
    }

    @Override
    void add(Bid highest, Bid bid) {
        if (Windows.dearer(bid, highest)) {
            highest.auction = bid.auction;
            highest.bidder = bid.bidder;
            highest.price = bid.price;
        }
    }

    @Override
    void emit(long end, Bid highest) {
        output.collect(new StreamRecord<>(Windows.row(end, highest), end - 1));
    }
}
