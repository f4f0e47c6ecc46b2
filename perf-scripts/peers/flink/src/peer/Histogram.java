package peer;

/** Latencies to three digits, as HdrHistogram keeps them: 2,048 steps of the lowest range, 1,024 of every doubling. */
final class Histogram {
    private static final int BITS = 11;
    private static final int HALF = 1 << (BITS - 1);

    private final long[] counts = new long[HALF * (Long.SIZE - BITS + 2)];
    private long total;
    private long largest;
    private double sum;

    void record(long nanos) {
        long value = Math.max(0, nanos);
        counts[place(value)]++;
        total++;
        sum += value;
        largest = Math.max(largest, value);
    }

    private static int place(long value) {
        int shift = Math.max(0, Long.SIZE - BITS - Long.numberOfLeadingZeros(value));
        return shift * HALF + (int) (value >>> shift);
    }

    /** The largest value of a place. */
    private static long value(int place) {
        int shift = Math.max(0, place / HALF - 1);
        return ((place - (long) shift * HALF + 1) << shift) - 1;
    }

    /** The latency that `percentile` percent of the records do not exceed. */
    long at(double percentile) {
        long rank = Math.max(1, (long) Math.ceil(percentile / 100 * total));
        long seen = 0;
        for (int place = 0; place < counts.length; place++) {
            seen += counts[place];
            if (seen >= rank) {
                return Math.min(value(place), largest);
            }
        }
        return largest;
    }

    long total() {
        return total;
    }

    long largest() {
        return largest;
    }

    double mean() {
        return total == 0 ? 0 : sum / total;
    }
}
