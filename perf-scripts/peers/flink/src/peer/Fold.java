package peer;

import java.util.TreeMap;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/** Folds a subtask's bids into the highest of every window, outside of Flink's keyed state. */
final class Fold extends AbstractStreamOperator<Row> implements OneInputStreamOperator<Bid, Row> {
    private transient TreeMap<Long, Bid> windows;
    private transient Bid current;
    private transient long currentStart;

    @Override
    public void open() throws Exception {
        super.open();
        windows = new TreeMap<>();
        currentStart = Long.MIN_VALUE / 2;
    }

    @Override
    public void processElement(StreamRecord<Bid> element) {
        Bid bid = element.getValue();
        long sinceStart = bid.dateTime - currentStart;
        if (sinceStart < 0 || sinceStart >= Windows.SIZE_MS) {
            currentStart = bid.dateTime - Math.floorMod(bid.dateTime, Windows.SIZE_MS);
            current = windows.computeIfAbsent(currentStart + Windows.SIZE_MS, end -> none());
        }
        if (Windows.dearer(bid, current)) {
            current.auction = bid.auction;
            current.bidder = bid.bidder;
            current.price = bid.price;
        }
    }

    /** What every bid is dearer than. */
    private static Bid none() {
        Bid bid = new Bid();
        bid.price = -1;
        return bid;
    }

    @Override
    public void processWatermark(Watermark watermark) throws Exception {
        while (!windows.isEmpty() && windows.firstKey() - 1 <= watermark.getTimestamp()) {
            var window = windows.pollFirstEntry();
            output.collect(new StreamRecord<>(Windows.row(window.getKey(), window.getValue()), window.getKey() - 1));
            currentStart = Long.MIN_VALUE / 2;
        }
        super.processWatermark(watermark);
    }
}
