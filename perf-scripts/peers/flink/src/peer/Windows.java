package peer;

import java.time.Duration;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.windowing.AllWindowFunction;
import org.apache.flink.streaming.api.functions.windowing.WindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** q5 and q7: on Flink's windows, and with less of them. */
final class Windows {
    static final long SIZE_MS = 10_000;
    static final long SLIDE_MS = 2_000;

    private Windows() {}

    /** Sliding windows of counts, then the largest of every window. Rows: end, auction, count. */
    static void q5(Job job) {
        var sliding = SlidingEventTimeWindows.of(Duration.ofMillis(SIZE_MS), Duration.ofMillis(SLIDE_MS));
        var counts = auctions(job).keyBy(auction -> auction.id, Types.LONG).window(sliding)
                .aggregate(new Count(), new Counted(), Counter.INFO, Row.INFO);
        most(job, counts);
    }

    /** Counts of tumbling panes on Flink's windows; what slides is made of panes, by hand. */
    static void q5Sliced(Job job) {
        var tumbling = TumblingEventTimeWindows.of(Duration.ofMillis(SLIDE_MS));
        var panes = auctions(job).keyBy(auction -> auction.id, Types.LONG).window(tumbling)
                .aggregate(new Count(), new Counted(), Counter.INFO, Row.INFO);
        var largest = panes.transform("slide", Row.INFO, new Slide());
        most(job, largest);
    }

    /** Panes counted where their bids are read; the owner of an auction adds up what the subtasks counted. */
    static void q5TwoPhase(Job job) {
        var tumbling = TumblingEventTimeWindows.of(Duration.ofMillis(SLIDE_MS));
        var parts = job.bids(bid -> bid.dateTime).transform("count panes", Row.INFO, new CountPanes());
        var panes = parts.keyBy(row -> row.b, Types.LONG).window(tumbling)
                .aggregate(new Add(), new Counted(), Counter.INFO, Row.INFO);
        var largest = panes.transform("slide", Row.INFO, new Slide());
        most(job, largest);
    }

    private static DataStream<Id> auctions(Job job) {
        return job.bids(bid -> bid.dateTime).map(new ToAuction(), Id.INFO);
    }

    private static final class ToAuction
            implements org.apache.flink.api.common.functions.MapFunction<Bid, Id> {
        private final Id auction = new Id();

        @Override
        public Id map(Bid bid) {
            auction.id = bid.auction;
            return auction;
        }
    }

    /** Adds up in a counter that heap state keeps. */
    private abstract static class Sum<T> implements AggregateFunction<T, Counter, Counter> {
        @Override
        public Counter createAccumulator() {
            return new Counter();
        }

        @Override
        public Counter getResult(Counter counter) {
            return counter;
        }

        @Override
        public Counter merge(Counter one, Counter other) {
            one.value += other.value;
            return one;
        }
    }

    private static final class Count extends Sum<Id> {
        @Override
        public Counter add(Id auction, Counter counter) {
            counter.value++;
            return counter;
        }
    }

    private static final class Add extends Sum<Row> {
        @Override
        public Counter add(Row part, Counter counter) {
            counter.value += part.c;
            return counter;
        }
    }

    private static final class Counted implements WindowFunction<Counter, Row, Long, TimeWindow> {
        private final Row row = new Row();

        @Override
        public void apply(Long auction, TimeWindow window, Iterable<Counter> count, Collector<Row> out) {
            row.a = window.getEnd();
            row.b = auction;
            row.c = count.iterator().next().value;
            out.collect(row);
        }
    }

    /** Of every window the row with the most bids; of as many, the smallest auction. */
    private static void most(Job job, DataStream<Row> counts) {
        var largest = counts.keyBy(row -> row.a, Types.LONG).process(new Best(false), Row.INFO);
        job.sink(largest, row -> Hash.of(row.a, row.b, row.c));
    }

    /** Of every key, which is a window's end, the best row, when the window is over. */
    static final class Best extends KeyedProcessFunction<Long, Row, Row> {
        private final boolean byPrice;
        private transient ValueState<Row> best;

        Best(boolean byPrice) {
            this.byPrice = byPrice;
        }

        @Override
        public void open(OpenContext context) {
            best = getRuntimeContext().getState(new ValueStateDescriptor<>("best", Row.INFO));
        }

        @Override
        public void processElement(Row row, Context context, Collector<Row> out) throws Exception {
            Row known = best.value();
            if (known == null) {
                context.timerService().registerEventTimeTimer(row.a - 1);
            }
            if (known == null || (byPrice ? dearer(row, known) : larger(row, known))) {
                // A record that came over an edge is an object of its own.
                best.update(row);
            }
        }

        @Override
        public void onTimer(long time, OnTimerContext context, Collector<Row> out) throws Exception {
            out.collect(best.value());
            best.clear();
        }
    }

    private static boolean larger(Row row, Row than) {
        return row.c > than.c || (row.c == than.c && row.b < than.b);
    }

    /** Rows: end, price, auction, bidder. */
    private static boolean dearer(Row row, Row than) {
        if (row.b != than.b) {
            return row.b > than.b;
        }
        return row.c < than.c || (row.c == than.c && row.d < than.d);
    }

    static boolean dearer(Bid bid, Bid than) {
        if (bid.price != than.price) {
            return bid.price > than.price;
        }
        return bid.auction < than.auction || (bid.auction == than.auction && bid.bidder < than.bidder);
    }

    /** A tumbling window over all bids, reduced as they come. */
    static void q7(Job job) {
        var tumbling = TumblingEventTimeWindows.of(Duration.ofMillis(SIZE_MS));
        var highest = job.bids(bid -> bid.dateTime).windowAll(tumbling)
                .reduce((one, other) -> dearer(other, one) ? other : one, new Highest(), Row.INFO);
        job.sink(highest, row -> Hash.of(row.a, row.b, row.c, row.d));
    }

    private static final class Highest implements AllWindowFunction<Bid, Row, TimeWindow> {
        @Override
        public void apply(TimeWindow window, Iterable<Bid> bids, Collector<Row> out) {
            out.collect(row(window.getEnd(), bids.iterator().next()));
        }
    }

    static Row row(long end, Bid bid) {
        Row row = new Row();
        row.a = end;
        row.b = bid.price;
        row.c = bid.auction;
        row.d = bid.bidder;
        return row;
    }

    /** Each subtask's highest bid of a window, folded in the chain of the source; then the best of those. */
    static void q7Folded(Job job) {
        var parts = job.bids(bid -> bid.dateTime).transform("fold", Row.INFO, new Fold());
        var highest = parts.keyBy(row -> row.a, Types.LONG).process(new Best(true), Row.INFO);
        job.sink(highest, row -> Hash.of(row.a, row.b, row.c, row.d));
    }
}
