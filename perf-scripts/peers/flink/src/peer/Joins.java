package peer;

import java.time.Duration;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.functions.co.KeyedCoProcessFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.util.Collector;

/** q3 and q8: persons with their auctions. */
final class Joins {
    private Joins() {}

    /** Persons of three states and their auctions of one category. Rows: id, state, city, auction. */
    static void q3(Job job) {
        var persons = job.persons(null)
                .filter(person -> person.stateId == 4 || person.stateId == 12 || person.stateId == 37);
        var auctions = job.auctions(null).filter(auction -> auction.category == 10)
                .map(new ToOffer(), Offer.INFO);
        var rows = persons.keyBy(person -> person.id, Types.LONG)
                .connect(auctions.keyBy(auction -> auction.seller, Types.LONG))
                .process(new Meet(), Row.INFO);
        job.sink(rows, row -> Hash.of(row.a, row.b, row.c, row.d));
    }

    private static final class ToOffer
            implements org.apache.flink.api.common.functions.MapFunction<Auction, Offer> {
        private final Offer offer = new Offer();

        @Override
        public Offer map(Auction auction) {
            offer.seller = auction.seller;
            offer.auction = auction.id;
            return offer;
        }
    }

    /** Each side waits for the other. Persons are unique: an auction that has met its seller goes. */
    private static final class Meet extends KeyedCoProcessFunction<Long, Person, Offer, Row> {
        private transient ValueState<Person> seller;
        private transient ValueState<Numbers> waiting;
        private transient Row row;

        @Override
        public void open(OpenContext context) {
            seller = getRuntimeContext().getState(new ValueStateDescriptor<>("seller", Person.INFO));
            waiting = getRuntimeContext().getState(new ValueStateDescriptor<>("waiting", Numbers.INFO));
            row = new Row();
        }

        @Override
        public void processElement1(Person person, Context context, Collector<Row> out) throws Exception {
            seller.update(person);
            Numbers auctions = waiting.value();
            if (auctions != null) {
                for (int at = 0; at < auctions.length; at++) {
                    emit(person, auctions.values[at], out);
                }
                waiting.clear();
            }
        }

        @Override
        public void processElement2(Offer offer, Context context, Collector<Row> out) throws Exception {
            Person person = seller.value();
            if (person != null) {
                emit(person, offer.auction, out);
                return;
            }
            await(waiting, offer.auction);
        }

        private void emit(Person person, long auction, Collector<Row> out) {
            row.a = person.id;
            row.b = person.stateId;
            row.c = person.cityId;
            row.d = auction;
            out.collect(row);
        }
    }

    private static void await(ValueState<Numbers> waiting, long auction) throws Exception {
        Numbers auctions = waiting.value();
        if (auctions == null) {
            auctions = new Numbers();
            waiting.update(auctions);
        }
        auctions.add(auction);
    }

    private static long end(long dateTime) {
        return dateTime - Math.floorMod(dateTime, Windows.SIZE_MS) + Windows.SIZE_MS;
    }

    /** Flink's window join. Rows: person, auction, end. */
    static void q8(Job job) {
        var rows = job.persons(person -> person.dateTime).join(job.auctions(auction -> auction.dateTime))
                .where(person -> person.id, Types.LONG).equalTo(auction -> auction.seller, Types.LONG)
                .window(TumblingEventTimeWindows.of(Duration.ofMillis(Windows.SIZE_MS)))
                .apply((Person person, Auction auction) -> {
                    Row row = new Row();
                    row.a = person.id;
                    row.b = auction.id;
                    row.c = end(auction.dateTime);
                    return row;
                }, Row.INFO);
        job.sink(rows, row -> Hash.of(row.a, row.b, row.c));
    }

    /** The same by hand: a person's window in state, auctions that wait for it, a timer to forget both. */
    static void q8ByHand(Job job) {
        var persons = job.persons(person -> person.dateTime).map(new ToComer(), Id.INFO);
        var auctions = job.auctions(auction -> auction.dateTime).map(new ToOffer(), Offer.INFO);
        var rows = persons.keyBy(person -> person.id, Types.LONG)
                .connect(auctions.keyBy(auction -> auction.seller, Types.LONG))
                .process(new MeetInWindow(), Row.INFO);
        job.sink(rows, row -> Hash.of(row.a, row.b, row.c));
    }

    private static final class ToComer
            implements org.apache.flink.api.common.functions.MapFunction<Person, Id> {
        private final Id comer = new Id();

        @Override
        public Id map(Person person) {
            comer.id = person.id;
            return comer;
        }
    }
}
