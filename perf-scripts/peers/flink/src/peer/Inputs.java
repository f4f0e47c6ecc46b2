package peer;

import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The mapped files of the query, which all sources of this JVM read. */
final class Inputs {
    static final int BLOCK_RECORDS = 1024;
    static final int BLOCK_BYTES = 64 << 10;

    private static List<MappedByteBuffer> files;
    static long limit;

    private Inputs() {}

    /** Maps and populates what the query reads. */
    static void open(Options options) throws IOException {
        List<String> names = switch (options.query) {
            case "q3", "q8" -> List.of("persons", "auctions");
            case "keysum-1k", "keysum-1m", "keysum-10m" -> List.of(options.query.replace("keysum-", "keys_"));
            case "keysum-zipf" -> List.of("keys_zipf_1m");
            case "wordcount" -> List.of("words");
            default -> List.of("bids");
        };
        String extension = options.query.equals("wordcount") ? ".txt" : ".bin";
        files = new ArrayList<>();
        for (String name : names) {
            Path path = options.data.resolve(name + options.suffix + extension);
            try (FileChannel channel = FileChannel.open(path)) {
                MappedByteBuffer file = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size());
                file.order(ByteOrder.LITTLE_ENDIAN);
                files.add(file.load());
            }
        }
        limit = options.limit;
    }

    static MappedByteBuffer file(int index) {
        return files.get(index);
    }

    /** How many records of `size` bytes a file has, cut to the limit. */
    static int records(int index, int size) {
        return (int) Math.min(files.get(index).capacity() / size, limit);
    }
}
