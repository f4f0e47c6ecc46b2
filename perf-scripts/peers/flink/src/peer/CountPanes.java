package peer;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Counts a subtask's bids by auction and pane in the chain of the source, outside of Flink's keyed state. Rows: the
 * pane's end, auction, count.
 */
final class CountPanes extends AbstractStreamOperator<Row> implements OneInputStreamOperator<Bid, Row> {
    private transient TreeMap<Long, Map<Long, Counter>> panes;
    private transient Map<Long, Counter> current;
    private transient long currentStart;

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
        if (sinceStart < 0 || sinceStart >= Windows.SLIDE_MS) {
            currentStart = bid.dateTime - Math.floorMod(bid.dateTime, Windows.SLIDE_MS);
            current = panes.computeIfAbsent(currentStart + Windows.SLIDE_MS, end -> new HashMap<>());
        }
        current.computeIfAbsent(bid.auction, auction -> new Counter()).value++;
    }

    @Override
    public void processWatermark(Watermark watermark) throws Exception {
        Row row = new Row();
        StreamRecord<Row> element = new StreamRecord<>(row);
        while (!panes.isEmpty() && panes.firstKey() - 1 <= watermark.getTimestamp()) {
            var pane = panes.pollFirstEntry();
            row.a = pane.getKey();
            for (Map.Entry<Long, Counter> counted : pane.getValue().entrySet()) {
                row.b = counted.getKey();
                row.c = counted.getValue().value;
                output.collect(element.replace(row, pane.getKey() - 1));
            }
            currentStart = Long.MIN_VALUE / 2;
        }
        super.processWatermark(watermark);
    }
}
