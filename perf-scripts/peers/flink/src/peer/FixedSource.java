package peer;

import java.io.Serializable;
import java.nio.ByteBuffer;
import org.apache.flink.streaming.api.functions.source.legacy.RichParallelSourceFunction;
import org.apache.flink.streaming.api.watermark.Watermark;

/** The records of a subtask's blocks. One object carries them all, as objects are reused. */
final class FixedSource<T> extends RichParallelSourceFunction<T> {
    /** Fills a record from a file. */
    interface Reader<T> extends Serializable {
        void read(ByteBuffer file, int at, T record);
    }

    /** The event time of a record. */
    interface Time<T> extends Serializable {
        long of(T record);
    }

    private final int file;
    private final int size;
    private final Form.Info<T> info;
    private final Reader<T> reader;
    private final Time<T> time;
    private final long jitterMs;
    private volatile boolean running = true;

    /** Of records of `size` bytes; without a time, no watermarks either. */
    FixedSource(int file, int size, Form.Info<T> info, Reader<T> reader, Time<T> time, long jitterMs) {
        this.file = file;
        this.size = size;
        this.info = info;
        this.reader = reader;
        this.time = time;
        this.jitterMs = jitterMs;
    }

    @Override
    public void run(SourceContext<T> context) {
        int index = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
        int parallelism = getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks();
        ByteBuffer bytes = Inputs.file(file).duplicate().order(Inputs.file(file).order());
        int records = Inputs.records(file, size);
        T record = info.createSerializer(null).createInstance();
        Clock.start();
        long step = (long) parallelism * Inputs.BLOCK_RECORDS;
        for (long first = (long) index * Inputs.BLOCK_RECORDS; first < records && running; first += step) {
            int last = (int) Math.min(first + Inputs.BLOCK_RECORDS, records);
            // Collecting takes this lock for every record; held for a block, that costs little.
            synchronized (context.getCheckpointLock()) {
                if (time == null) {
                    untimed(context, bytes, record, (int) first, last);
                } else {
                    timed(context, bytes, record, (int) first, last);
                }
            }
        }
    }

    private void untimed(SourceContext<T> context, ByteBuffer bytes, T record, int first, int last) {
        for (int at = first; at < last; at++) {
            reader.read(bytes, at * size, record);
            context.collect(record);
        }
    }

    private void timed(SourceContext<T> context, ByteBuffer bytes, T record, int first, int last) {
        for (int at = first; at < last; at++) {
            reader.read(bytes, at * size, record);
            context.collectWithTimestamp(record, time.of(record));
        }
        // Flink's watermark says that nothing at or before it will follow.
        context.emitWatermark(new Watermark(time.of(record) - jitterMs - 1));
    }

    @Override
    public void cancel() {
        running = false;
    }
}
