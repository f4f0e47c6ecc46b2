package peer;

/** The checksum's functions. */
final class Hash {
    private static final long K0 = 0x9E3779B185EBCA87L;
    private static final long K1 = 0xC2B2AE3D27D4EB4FL;
    private static final long K2 = 0x165667B19E3779F9L;
    private static final long K3 = 0x85EBCA77C2B2AE63L;

    private Hash() {}

    /** The output function of SplitMix64. */
    static long mix(long x) {
        long z = x + 0x9E3779B97F4A7C15L;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    static long of(long a, long b) {
        return mix(a * K0 + b * K1);
    }

    static long of(long a, long b, long c) {
        return mix(a * K0 + b * K1 + c * K2);
    }

    static long of(long a, long b, long c, long d) {
        return mix(a * K0 + b * K1 + c * K2 + d * K3);
    }

    /** Fowler, Noll and Vo's hash 1a. */
    static long fnv(byte[] bytes, int from, int to) {
        long hash = 0xcbf29ce484222325L;
        for (int at = from; at < to; at++) {
            hash = (hash ^ (bytes[at] & 0xff)) * 0x00000100000001b3L;
        }
        return hash;
    }
}
