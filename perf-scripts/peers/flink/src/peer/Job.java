package peer;

import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** One job: its environment, sources and sinks. */
final class Job {
    final StreamExecutionEnvironment environment;
    final long jitterMs;

    Job(Options options) {
        environment = StreamExecutionEnvironment.createLocalEnvironment(options.parallelism, new Configuration());
        // Chained operators hand on the object itself.
        environment.getConfig().enableObjectReuse();
        // Buffers are sent when they are full: nobody waits for a record here.
        environment.setBufferTimeout(-1);
        jitterMs = options.jitterMs;
    }

    SingleOutputStreamOperator<Bid> bids(FixedSource.Time<Bid> time) {
        return environment.addSource(new FixedSource<>(0, 32, Bid.INFO, (file, at, bid) -> {
            bid.auction = file.getLong(at);
            bid.bidder = file.getLong(at + 8);
            bid.price = file.getLong(at + 16);
            bid.dateTime = file.getLong(at + 24);
        }, time, jitterMs), "bids", Bid.INFO);
    }

    SingleOutputStreamOperator<Person> persons(FixedSource.Time<Person> time) {
        return environment.addSource(new FixedSource<>(0, 32, Person.INFO, (file, at, person) -> {
            person.id = file.getLong(at);
            person.stateId = file.getLong(at + 8);
            person.cityId = file.getLong(at + 16);
            person.dateTime = file.getLong(at + 24);
        }, time, jitterMs), "persons", Person.INFO);
    }

    SingleOutputStreamOperator<Auction> auctions(FixedSource.Time<Auction> time) {
        return environment.addSource(new FixedSource<>(1, 48, Auction.INFO, (file, at, auction) -> {
            auction.id = file.getLong(at);
            auction.seller = file.getLong(at + 8);
            auction.category = file.getLong(at + 16);
            auction.initialBid = file.getLong(at + 24);
            auction.dateTime = file.getLong(at + 32);
            auction.expires = file.getLong(at + 40);
        }, time, jitterMs), "auctions", Auction.INFO);
    }

    SingleOutputStreamOperator<Keyed> keyed() {
        return environment.addSource(new FixedSource<>(0, 16, Keyed.INFO, (file, at, record) -> {
            record.key = file.getLong(at);
            record.value = file.getLong(at + 8);
        }, null, 0), "keyed", Keyed.INFO);
    }

    <T> void sink(DataStream<T> rows, DigestSink.Hasher<T> hasher) {
        rows.addSink(new DigestSink<>(hasher)).name("sink");
    }
}
