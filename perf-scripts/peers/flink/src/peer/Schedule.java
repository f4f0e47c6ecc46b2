package peer;

/**
 * An open loop: record i is due i / rate seconds after the start, whatever happened to the records before it. The job
 * runs in this JVM, one trial at a time, so that source and sink share this one.
 */
final class Schedule {
    /** The number of keys. */
    static final int KEYS = 10_000;

    /** How long after the last record is due a source gives up what it could not hand on. */
    static final long PATIENCE_NANOS = 5_000_000_000L;

    static long rate;
    static long warmUpCount;
    static long count;
    /** When record 0 is due, by `System.nanoTime`. */
    static volatile long startNanos;

    private Schedule() {}

    static void set(long rate, double warmUp, double seconds) {
        Schedule.rate = rate;
        warmUpCount = Math.round(warmUp * rate);
        count = warmUpCount + Math.max(1, Math.round(seconds * rate));
    }

    /** When a record is due, by `System.nanoTime`. */
    static long due(long index) {
        return startNanos + index / rate * 1_000_000_000L + index % rate * 1_000_000_000L / rate;
    }

    static long key(long index) {
        return Long.remainderUnsigned(Hash.mix(index), KEYS);
    }

    /** The sum of all counts of the first `ticks` records: what a run has to come to. */
    static long sumOfCounts(long ticks) {
        long[] counts = new long[KEYS];
        long sum = 0;
        for (long index = 0; index < ticks; index++) {
            sum += ++counts[(int) key(index)];
        }
        return sum;
    }
}
