package peer;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.streaming.api.functions.co.KeyedCoProcessFunction;
import org.apache.flink.util.Collector;

/** A person and his auctions of the same window; a timer forgets a window that is over. */
final class MeetInWindow extends KeyedCoProcessFunction<Long, Id, Offer, Row> {
    private transient ValueState<Meeting> meetings;
    private transient Row row;

    /** One window of one person; a person's windows form a list, nearly always of one. */
    public static final class Meeting {
        long end;
        boolean there;
        Numbers waiting;
        Meeting later;

        static final Form.Info<Meeting> INFO = new Form.Info<>(Meeting.class, new Kept());
    }

    @Override
    public void open(OpenContext context) {
        meetings = getRuntimeContext().getState(new ValueStateDescriptor<>("meetings", Meeting.INFO));
        row = new Row();
    }

    @Override
    public void processElement1(Id person, Context context, Collector<Row> out) throws Exception {
        Meeting meeting = meeting(context);
        meeting.there = true;
        if (meeting.waiting != null) {
            for (int at = 0; at < meeting.waiting.length; at++) {
                emit(person.id, meeting.waiting.values[at], meeting.end, out);
            }
            meeting.waiting = null;
        }
    }

    @Override
    public void processElement2(Offer offer, Context context, Collector<Row> out) throws Exception {
        Meeting meeting = meeting(context);
        if (meeting.there) {
            emit(offer.seller, offer.auction, meeting.end, out);
            return;
        }
        if (meeting.waiting == null) {
            meeting.waiting = new Numbers();
        }
        meeting.waiting.add(offer.auction);
    }

    /** The meeting of the record's window. */
    private Meeting meeting(Context context) throws Exception {
        long time = context.timestamp();
        long end = time - Math.floorMod(time, Windows.SIZE_MS) + Windows.SIZE_MS;
        Meeting first = meetings.value();
        for (Meeting meeting = first; meeting != null; meeting = meeting.later) {
            if (meeting.end == end) {
                return meeting;
            }
        }
        Meeting meeting = new Meeting();
        meeting.end = end;
        meeting.later = first;
        meetings.update(meeting);
        context.timerService().registerEventTimeTimer(end - 1);
        return meeting;
    }

    @Override
    public void onTimer(long time, OnTimerContext context, Collector<Row> out) throws Exception {
        Meeting kept = null;
        for (Meeting meeting = meetings.value(); meeting != null; ) {
            Meeting later = meeting.later;
            if (meeting.end - 1 > time) {
                meeting.later = kept;
                kept = meeting;
            }
            meeting = later;
        }
        meetings.update(kept);
    }

    private void emit(long person, long auction, long end, Collector<Row> out) {
        row.a = person;
        row.b = auction;
        row.c = end;
        out.collect(row);
    }

    private static final class Kept extends Form<Meeting> {
        Kept() {
            super(-1);
        }

        @Override
        public Meeting createInstance() {
            return new Meeting();
        }

        @Override
        public Meeting copy(Meeting from, Meeting to) {
            throw new UnsupportedOperationException("nothing is checkpointed here");
        }

        @Override
        public void serialize(Meeting meeting, DataOutputView target) {
            throw new UnsupportedOperationException("nothing is checkpointed here");
        }

        @Override
        public Meeting deserialize(Meeting reuse, DataInputView source) {
            throw new UnsupportedOperationException("nothing is checkpointed here");
        }
    }
}
