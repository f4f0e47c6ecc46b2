package peer;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/** Counts a subtask's bids by auction and pane. Rows: the pane's end, auction, count. */
final class CountPanes extends Panes<Map<Long, Counter>> {
    CountPanes() {
        super(Windows.SLIDE_MS);
    }

    @Override
    Map<Long, Counter> none() {
        return new HashMap<>();
    }

    @Override
    void add(Map<Long, Counter> counts, Bid bid) {
        counts.computeIfAbsent(bid.auction, auction -> new Counter()).value++;
    }

    @Override
    void emit(long end, Map<Long, Counter> counts) {
        Row row = new Row();
        StreamRecord<Row> element = new StreamRecord<>(row);
        row.a = end;
        counts.forEach((auction, count) -> {
            row.b = auction;
            row.c = count.value;
            output.collect(element.replace(row, end - 1));
        });
    }
}
