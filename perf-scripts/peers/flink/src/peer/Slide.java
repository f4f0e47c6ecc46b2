package peer;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Makes sliding windows of the panes of this subtask's auctions, and gives of each the auction with the
 * most bids. Rows: end, auction, count.
 */
final class Slide extends AbstractStreamOperator<Row> implements OneInputStreamOperator<Row, Row> {
    /** Counts by auction, by the end of the pane; chained to the windows, it sees panes in order. */
    private transient TreeMap<Long, Map<Long, Counter>> panes;
    private transient Map<Long, Counter> totals;
    /** The end of the next window, if any pane is there. */
    private transient long next;

    @Override
    public void open() throws Exception {
        super.open();
        panes = new TreeMap<>();
        totals = new HashMap<>();
    }

    @Override
    public void processElement(StreamRecord<Row> element) {
        Row row = element.getValue();
        if (panes.isEmpty()) {
            next = row.a;
        }
        Counter counter = new Counter();
        counter.value = row.c;
        panes.computeIfAbsent(row.a, end -> new HashMap<>()).put(row.b, counter);
    }

    @Override
    public void processWatermark(Watermark watermark) throws Exception {
        while (!panes.isEmpty() && next - 1 <= watermark.getTimestamp()) {
            Map<Long, Counter> come = panes.get(next);
            if (come != null) {
                come.forEach((auction, count) ->
                        totals.computeIfAbsent(auction, id -> new Counter()).value += count.value);
            }
            while (!panes.isEmpty() && panes.firstKey() <= next - Windows.SIZE_MS) {
                panes.pollFirstEntry().getValue().forEach(this::takeOff);
            }
            fire();
            next += Windows.SLIDE_MS;
        }
        super.processWatermark(watermark);
    }

    private void takeOff(Long auction, Counter count) {
        Counter total = totals.get(auction);
        total.value -= count.value;
        if (total.value == 0) {
            totals.remove(auction);
        }
    }

    private void fire() {
        Row most = null;
        for (Map.Entry<Long, Counter> total : totals.entrySet()) {
            long count = total.getValue().value;
            if (most == null || count > most.c || (count == most.c && total.getKey() < most.b)) {
                most = most == null ? new Row() : most;
                most.b = total.getKey();
                most.c = count;
            }
        }
        if (most != null) {
            most.a = next;
            output.collect(new StreamRecord<>(most, next - 1));
        }
    }
}
