package peer;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** Running sums per key, and running counts of words. */
final class Sums {
    private Sums() {}

    /** keysum. */
    static void keysum(Job job) {
        var sums = job.keyed().keyBy(record -> record.key, Types.LONG).process(new Sum(), Keyed.INFO);
        job.sink(sums, row -> Hash.of(row.key, row.value));
    }

    private static final class Sum extends KeyedProcessFunction<Long, Keyed, Keyed> {
        private transient ValueState<Counter> sum;

        @Override
        public void open(OpenContext context) {
            sum = getRuntimeContext().getState(new ValueStateDescriptor<>("sum", Counter.INFO));
        }

        @Override
        public void processElement(Keyed record, Context context, Collector<Keyed> out) throws Exception {
            record.value = add(sum, record.value);
            out.collect(record);
        }
    }

    /** wordcount. */
    static void wordcount(Job job) {
        var lines = job.environment.addSource(new LineSource(), "lines", Line.INFO);
        var words = lines.flatMap(Sums::split, Word.INFO);
        var counts = words.keyBy(word -> word, Word.INFO).process(new Count(), Keyed.INFO);
        job.sink(counts, row -> Hash.of(row.key, row.value));
    }

    private static void split(Line line, Collector<Word> out) {
        int start = line.from;
        for (int at = line.from; at <= line.to; at++) {
            if (at == line.to || line.bytes[at] == ' ') {
                if (at > start) {
                    Word word = new Word();
                    word.hash = Hash.fnv(line.bytes, start, at);
                    word.bytes = java.util.Arrays.copyOfRange(line.bytes, start, at);
                    out.collect(word);
                }
                start = at + 1;
            }
        }
    }

    private static final class Count extends KeyedProcessFunction<Word, Word, Keyed> {
        private transient ValueState<Counter> count;
        private transient Keyed row;

        @Override
        public void open(OpenContext context) {
            count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Counter.INFO));
            row = new Keyed();
        }

        @Override
        public void processElement(Word word, Context context, Collector<Keyed> out) throws Exception {
            row.key = word.hash;
            row.value = add(count, 1);
            out.collect(row);
        }
    }

    /** Adds to a counter in state. */
    private static long add(ValueState<Counter> state, long value) throws Exception {
        Counter counter = state.value();
        if (counter == null) {
            counter = new Counter();
            state.update(counter);
        }
        counter.value += value;
        return counter.value;
    }
}
