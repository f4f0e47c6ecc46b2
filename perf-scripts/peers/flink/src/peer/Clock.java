package peer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * From the first source's first read to the last sink's end of input, and what the sinks have seen. The
 * cluster runs in this JVM, so that its subtasks share this one.
 */
final class Clock {
    private static long started;
    private static long cpuStarted;
    static long nanoseconds;
    static long cpuNanoseconds;
    static long rows;
    static long checksum;

    private Clock() {}

    static synchronized void reset() {
        started = 0;
        rows = 0;
        checksum = 0;
    }

    /** A source instance reads its first record. */
    static synchronized void start() {
        if (started == 0) {
            cpuStarted = userCpu();
            started = System.nanoTime();
        }
    }

    /** When it began, by `System.nanoTime`. */
    static synchronized long started() {
        return started;
    }

    /** A sink instance has seen the end of input, and this. */
    static synchronized void end(long moreRows, long moreChecksum) {
        nanoseconds = System.nanoTime() - started;
        cpuNanoseconds = userCpu() - cpuStarted;
        rows += moreRows;
        checksum += moreChecksum;
    }

    /** The process's CPU time in user mode, to the hundredth of a second. */
    private static long userCpu() {
        try {
            String line = Files.readString(Path.of("/proc/self/stat"));
            String[] fields = line.substring(line.lastIndexOf(')') + 2).split(" ");
            return Long.parseLong(fields[11]) * 10_000_000L;
        } catch (IOException error) {
            return 0;
        }
    }
}
