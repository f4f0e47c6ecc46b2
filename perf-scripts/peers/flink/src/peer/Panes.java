package peer;

import java.util.TreeMap;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/** Gathers a subtask's bids by pane in the chain of the source, outside of Flink's keyed state. */
abstract class Panes<T> extends AbstractStreamOperator<Row> implements OneInputStreamOperator<Bid, Row> {
    private final long width;
    /** What was gathered, by the end of the pane. */
    private transient TreeMap<Long, T> panes;
    private transient T current;
    private transient long currentStart;

    Panes(long width) {
        this.width = width;
    }

    /** Of no bid. */
    abstract T none();

    /** Adds a bid to its pane. */
    abstract void add(T pane, Bid bid);

    /** Emits what stands for a pane that is over. */
    abstract void emit(long end, T pane);

    @Override
    public void open() throws Exception {
        super.open();
        panes = new TreeMap<>();
        currentStart = Long.MIN_VALUE / 2;
    }

    @Override
    public void processElement(StreamRecord<Bid> element) {
        Bid bid = element.getValue();
        long sinceStart = bid.dateTime - currentStart;
        if (sinceStart < 0 || sinceStart >= width) {
            currentStart = bid.dateTime - Math.floorMod(bid.dateTime, width);
            current = panes.computeIfAbsent(currentStart + width, end -> none());
        }
        add(current, bid);
    }

    @Override
    public void processWatermark(Watermark watermark) throws Exception {
        while (!panes.isEmpty() && panes.firstKey() - 1 <= watermark.getTimestamp()) {
            var pane = panes.pollFirstEntry();
            emit(pane.getKey(), pane.getValue());
            currentStart = Long.MIN_VALUE / 2;
        }
        super.processWatermark(watermark);
    }
}
