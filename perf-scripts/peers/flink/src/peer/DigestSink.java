package peer;

import java.io.Serializable;
import org.apache.flink.streaming.api.functions.sink.legacy.RichSinkFunction;

/** Counts and hashes every row. */
final class DigestSink<T> extends RichSinkFunction<T> {
    /** A row's hash. */
    interface Hasher<T> extends Serializable {
        long of(T row);
    }

    private final Hasher<T> hasher;
    private long rows;
    private long checksum;

    DigestSink(Hasher<T> hasher) {
        this.hasher = hasher;
    }

    @Override
    public void invoke(T row, Context context) {
        rows++;
        checksum += hasher.of(row);
    }

    @Override
    public void finish() {
        Clock.end(rows, checksum);
    }
}
