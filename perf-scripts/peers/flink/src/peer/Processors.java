package peer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The system's counters at one moment: the process's time on the cores, and what the hypervisor gave to others. */
record Processors(long atNanos, long user, long system, long steal, long total) {
    private static final double TICKS_PER_SECOND = 100;

    static Processors now() throws IOException {
        String line = Files.readString(Path.of("/proc/self/stat"));
        String[] own = line.substring(line.lastIndexOf(')') + 2).split(" ");
        String[] all = Files.readAllLines(Path.of("/proc/stat")).get(0).split(" +");
        long total = 0;
        for (int at = 1; at <= 8; at++) {
            total += Long.parseLong(all[at]);
        }
        return new Processors(System.nanoTime(), Long.parseLong(own[11]), Long.parseLong(own[12]),
                Long.parseLong(all[8]), total);
    }

    double userCores(Processors before) {
        return (user - before.user) / TICKS_PER_SECOND / seconds(before);
    }

    double systemCores(Processors before) {
        return (system - before.system) / TICKS_PER_SECOND / seconds(before);
    }

    double stolen(Processors before) {
        return (double) (steal - before.steal) / Math.max(1, total - before.total);
    }

    private double seconds(Processors before) {
        return (atNanos - before.atNanos) / 1e9;
    }
}
