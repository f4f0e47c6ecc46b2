package peer;

/** q0, q1, q2: one chain a subtask. */
final class Stateless {
    private Stateless() {}

    /** Every bid. */
    static void q0(Job job) {
        job.sink(job.bids(null), bid -> Hash.of(bid.auction, bid.bidder, bid.price, bid.dateTime));
    }

    /** Every bid in euros. */
    static void q1(Job job) {
        var converted = job.bids(null).map(bid -> {
            bid.price = (long) (bid.price * 0.908);
            return bid;
        }).returns(Bid.INFO);
        job.sink(converted, bid -> Hash.of(bid.auction, bid.bidder, bid.price, bid.dateTime));
    }

    /** The bids of every 123rd auction. */
    static void q2(Job job) {
        var selected = job.bids(null).filter(bid -> bid.auction % 123 == 0);
        job.sink(selected, bid -> Hash.of(bid.auction, bid.price));
    }
}
