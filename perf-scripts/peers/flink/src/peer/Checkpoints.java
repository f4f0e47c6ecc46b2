package peer;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.source.legacy.RichParallelSourceFunction;
import org.apache.flink.util.Collector;

/**
 * What checkpoints cost Flink: running sums of keys each of which is set once, and which then change as fast as
 * possible, with checkpoints or without. One run a process, one subtask an operator.
 */
public final class Checkpoints {
    static final String USAGE = """
            Usage: run-checkpoints [--keys K] [--seconds S] [--change all|1%] [--backend heap|rocksdb]
                                   [--interval-ms I] [--directory DIR]

            Without --interval-ms there are no checkpoints. Prints one JSON object.""";

    /** How many records make a turn, whose time is taken. */
    private static final int TURN = 64;
    private static final int TURNS_MAX = 1 << 24;

    private static long keys = 1_000_000;
    private static long changing;
    private static long stride = 1;
    private static double seconds = 10;
    private static volatile long completed;
    private static volatile long changesStarted;
    private static long changes;
    private static long[] turns = new long[TURNS_MAX];
    private static int turnCount;

    private Checkpoints() {}

    public static void main(String[] arguments) throws Exception {
        if (List.of(arguments).contains("--help")) {
            System.out.println(USAGE);
            return;
        }
        Map<String, String> options = new HashMap<>();
        for (int at = 0; at + 1 < arguments.length; at += 2) {
            options.put(arguments[at], arguments[at + 1]);
        }
        keys = Long.parseLong(options.getOrDefault("--keys", "1000000"));
        seconds = Double.parseDouble(options.getOrDefault("--seconds", "10"));
        stride = options.getOrDefault("--change", "all").equals("all") ? 1 : 100;
        changing = keys / stride;
        String backend = options.getOrDefault("--backend", "heap");
        long interval = Long.parseLong(options.getOrDefault("--interval-ms", "0"));
        String directory = options.getOrDefault("--directory", "/tmp/flink-checkpoints");

        Configuration configuration = new Configuration();
        configuration.setString("state.backend.type", backend.equals("heap") ? "hashmap" : "rocksdb");
        configuration.setString("execution.checkpointing.storage", "filesystem");
        configuration.setString("execution.checkpointing.dir", "file://" + directory);
        configuration.setString("execution.checkpointing.incremental", "true");
        configuration.setString("taskmanager.memory.managed.size", "2g");
        configuration.setString("restart-strategy.type", "none");
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.createLocalEnvironment(1, configuration);
        environment.getConfig().enableObjectReuse();
        environment.setBufferTimeout(-1);
        if (interval > 0) {
            environment.enableCheckpointing(interval);
        }
        var sums = environment.addSource(new Changes(interval > 0), "changes", Keyed.INFO)
                .keyBy(record -> record.key, Types.LONG)
                .process(new Sum(), Keyed.INFO);
        sums.addSink(new DigestSink<>((Keyed row) -> Hash.of(row.key, row.value))).name("sink");
        environment.execute("checkpoints");
        report(backend, interval);
        // Threads of the cluster may linger; all has been said.
        System.exit(Clock.checksum == expected() ? 0 : 1);
    }

    private static long changed(long index) {
        return Long.remainderUnsigned(Hash.mix(index), changing) * stride;
    }

    /** Every key once, a checkpoint if there are some, then changes. */
    private static final class Changes extends RichParallelSourceFunction<Keyed> implements CheckpointListener {
        private final boolean waits;
        private volatile boolean running = true;

        Changes(boolean waits) {
            this.waits = waits;
        }

        @Override
        public void run(SourceContext<Keyed> context) throws Exception {
            Keyed record = new Keyed();
            Clock.start();
            for (long key = 0; key < keys && running; key += 256) {
                synchronized (context.getCheckpointLock()) {
                    for (long at = key; at < Math.min(key + 256, keys); at++) {
                        emit(context, record, at);
                    }
                }
            }
            long before = completed;
            // The one that was under way may have begun before the last key.
            while (waits && completed < before + 2 && running) {
                Thread.sleep(1);
            }
            long started = System.nanoTime();
            changesStarted = started;
            long index = 0;
            while (running && System.nanoTime() - started < seconds * 1e9) {
                synchronized (context.getCheckpointLock()) {
                    for (int at = 0; at < 256; at++) {
                        emit(context, record, changed(index++));
                    }
                }
            }
            changes = index;
        }

        private static void emit(SourceContext<Keyed> context, Keyed record, long key) {
            record.key = key;
            record.value = 1;
            context.collect(record);
        }

        @Override
        public void notifyCheckpointComplete(long checkpoint) {
            completed++;
        }

        @Override
        public void cancel() {
            running = false;
        }
    }

    private static final class Sum extends KeyedProcessFunction<Long, Keyed, Keyed> {
        private transient ValueState<Long> sum;
        private transient int within;
        private transient long last;

        @Override
        public void open(OpenContext context) {
            sum = getRuntimeContext().getState(new ValueStateDescriptor<>("sum", Types.LONG));
        }

        @Override
        public void processElement(Keyed record, Context context, Collector<Keyed> out) throws Exception {
            Long before = sum.value();
            record.value += before == null ? 0 : before;
            sum.update(record.value);
            out.collect(record);
            if (++within == TURN) {
                within = 0;
                long now = System.nanoTime();
                if (last >= changesStarted && changesStarted > 0 && turnCount < TURNS_MAX) {
                    turns[turnCount++] = now - last;
                }
                last = now;
            }
        }
    }

    /** The checksum of the rows of a loop over an array. */
    private static long expected() {
        long[] sums = new long[(int) keys];
        long total = 0;
        for (int key = 0; key < keys; key++) {
            total += Hash.of(key, ++sums[key]);
        }
        for (long index = 0; index < changes; index++) {
            int key = (int) changed(index);
            total += Hash.of(key, ++sums[key]);
        }
        return total;
    }

    private static void report(String backend, long interval) {
        long[] sorted = Arrays.copyOf(turns, turnCount);
        Arrays.sort(sorted);
        double span = (Clock.nanoseconds - (changesStarted - Clock.started())) / 1e9;
        System.out.printf(Locale.ROOT,
                "{\"system\":\"flink\",\"backend\":\"%s\",\"keys\":%d,\"interval_ms\":%d,\"changes\":%d,"
                        + "\"changes_per_second\":%.0f,\"checkpoints\":%d,\"turn_p50_us\":%.1f,"
                        + "\"turn_p99_9_us\":%.1f,\"turn_max_us\":%.1f,\"checked\":%b}%n",
                backend, keys, interval, changes, changes / span, completed, at(sorted, 0.5), at(sorted, 0.999),
                at(sorted, 1), Clock.checksum == expected());
        System.out.flush();
    }

    private static double at(long[] sorted, double share) {
        int place = (int) Math.min(sorted.length - 1, Math.ceil(share * sorted.length));
        return sorted.length == 0 ? 0 : sorted[Math.max(0, place)] / 1e3;
    }
}
