package peer;

import java.nio.ByteBuffer;
import org.apache.flink.streaming.api.functions.source.legacy.RichParallelSourceFunction;

/** The lines of a subtask's blocks. A line belongs to the block that holds its first byte. */
final class LineSource extends RichParallelSourceFunction<Line> {
    private volatile boolean running = true;

    @Override
    public void run(SourceContext<Line> context) {
        int index = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
        int parallelism = getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks();
        ByteBuffer text = Inputs.file(0).duplicate();
        int end = end(text);
        Line line = new Line();
        Clock.start();
        int step = parallelism * Inputs.BLOCK_BYTES;
        for (int block = index * Inputs.BLOCK_BYTES; block < end && running; block += step) {
            int first = lineStart(text, block, end);
            int last = lineStart(text, block + Inputs.BLOCK_BYTES, end);
            line.bytes = new byte[Math.max(0, last - first)];
            text.get(first, line.bytes, 0, line.bytes.length);
            synchronized (context.getCheckpointLock()) {
                line.from = 0;
                for (line.to = 0; line.to < line.bytes.length; line.to++) {
                    if (line.bytes[line.to] == '\n') {
                        context.collect(line);
                        line.from = line.to + 1;
                    }
                }
                if (line.from < line.to) {
                    context.collect(line);
                }
            }
        }
    }

    /** Where the lines within the limit end. */
    private static int end(ByteBuffer text) {
        long lines = 0;
        int at = 0;
        if (Inputs.limit == Long.MAX_VALUE) {
            return text.capacity();
        }
        while (at < text.capacity() && lines < Inputs.limit) {
            if (text.get(at++) == '\n') {
                lines++;
            }
        }
        return at;
    }

    /** The first byte of the first line that begins at or after `at`. */
    private static int lineStart(ByteBuffer text, int at, int end) {
        if (at == 0) {
            return 0;
        }
        int start = Math.min(at, end) - 1;
        while (start < end && text.get(start) != '\n') {
            start++;
        }
        return Math.min(start + 1, end);
    }

    @Override
    public void cancel() {
        running = false;
    }
}
