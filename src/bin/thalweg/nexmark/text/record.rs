//! The records with all their strings, and how each is generated.

use std::fmt::Write;

use thalweg::record::{Archived, Record};

use crate::nexmark::{Random, mix64};

use super::letters::{pick, push_extra, push_letters, set};
use super::recipe::Recipe;

/// The channels of half of the bids.
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

/// The number of other channels.
const CHANNELS: u64 = 10_000;

/// All but one in this many bids come through a hot channel.
const HOT_CHANNEL_RATIO: u64 = 2;

/// The URLs of all but one in this many other channels identify the channel.
const CHANNEL_ID_RATIO: u64 = 10;

const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];

const CITIES: [&str; 8] = [
    "Tucson", "Fresno", "San Jose", "Boise", "Salem", "Eugene", "Spokane", "Laramie",
];

const FIRST_NAMES: [&str; 8] = [
    "Ada", "Alonzo", "Barbara", "Edsger", "Grace", "John", "Leslie", "Robin",
];

const LAST_NAMES: [&str; 8] = [
    "Church", "Dijkstra", "Hopper", "Lamport", "Liskov", "Lovelace", "McCarthy", "Milner",
];

/// A record that can be generated from its number, and written as a row of a CSV file.
pub(crate) trait MadeUp: Default + Send + 'static {
    /// The file's columns.
    const COLUMNS: &'static str;

    /// Becomes record `number`, reusing the memory of its strings.
    fn become_number(&mut self, number: u64, recipe: &Recipe);

    /// Appends the record's row, with a line terminator. No field contains a comma or a quote.
    fn push_row(&self, text: &mut String);
}

/// A bid on an auction.
#[derive(Clone, Debug, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct TextBid {
    pub(crate) auction: u64,
    pub(crate) bidder: u64,
    /// In cents.
    pub(crate) price: u64,
    pub(crate) channel: String,
    pub(crate) url: String,
    pub(crate) date_time_ms: i64,
    pub(crate) extra: String,
}

/// A person who sells or bids.
#[derive(Clone, Debug, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct TextPerson {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) credit_card: String,
    pub(crate) city: String,
    pub(crate) state: String,
    pub(crate) date_time_ms: i64,
    pub(crate) extra: String,
}

/// An auction of one item.
#[derive(Clone, Debug, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct TextAuction {
    pub(crate) id: u64,
    pub(crate) item_name: String,
    pub(crate) description: String,
    /// In cents.
    pub(crate) initial_bid: u64,
    /// In cents.
    pub(crate) reserve: u64,
    pub(crate) date_time_ms: i64,
    pub(crate) expires_ms: i64,
    pub(crate) seller: u64,
    pub(crate) category: u64,
    pub(crate) extra: String,
}

macro_rules! archived_record {
    ($($type:ty)*) => { $(
        impl Record for $type {
            type Form = Archived;
        }
    )* };
}

archived_record!(TextBid TextPerson TextAuction);

impl TextBid {
    /// Sets the channel and the URL that belongs to it.
    fn set_channel(&mut self, random: &mut Random) {
        let (channel, has_id) = if random.mostly(HOT_CHANNEL_RATIO) {
            let hot = random.below(HOT_CHANNELS.len() as u64);
            set(&mut self.channel, &[HOT_CHANNELS[hot as usize]]);
            (CHANNELS + hot, false)
        } else {
            let channel = random.below(CHANNELS);
            set(&mut self.channel, &["channel-"]);
            // Writing to memory cannot fail.
            let _ = write!(self.channel, "{channel}");
            (channel, random.mostly(CHANNEL_ID_RATIO))
        };
        let mut of_channel = Random::new(mix64(channel));
        set(&mut self.url, &["https://www.nexmark.com"]);
        for _ in 0..3 {
            self.url.push('/');
            push_letters(&mut self.url, 5, &mut of_channel);
        }
        self.url.push_str("/item.htm?query=1");
        if has_id {
            let id = of_channel.bits() >> 33;
            let _ = write!(self.url, "&channel_id={id}");
        }
    }
}

impl MadeUp for TextBid {
    const COLUMNS: &'static str = "auction,bidder,price,channel,url,date_time,extra";

    fn become_number(&mut self, number: u64, recipe: &Recipe) {
        let random = &mut recipe.random(0xB1, number);
        let bid = recipe.timeline.bid(number, random);
        self.auction = bid.auction;
        self.bidder = bid.bidder;
        self.price = bid.price;
        self.date_time_ms = recipe.disturbed(bid.date_time_ms, random);
        self.set_channel(random);
        self.extra.clear();
        push_extra(&mut self.extra, 68, random);
    }

    fn push_row(&self, text: &mut String) {
        let TextBid {
            auction,
            bidder,
            price,
            channel,
            url,
            date_time_ms,
            extra,
        } = self;
        let _ = writeln!(
            text,
            "{auction},{bidder},{price},{channel},{url},{date_time_ms},{extra}"
        );
    }
}

impl MadeUp for TextPerson {
    const COLUMNS: &'static str = "id,name,email,credit_card,city,state,date_time,extra";

    fn become_number(&mut self, number: u64, recipe: &Recipe) {
        let random = &mut recipe.random(0xB2, number);
        let person = recipe.timeline.person(number, random);
        self.id = person.id;
        self.date_time_ms = recipe.disturbed(person.date_time_ms, random);
        let (first, last) = (pick(&FIRST_NAMES, random), pick(&LAST_NAMES, random));
        set(&mut self.name, &[first, " ", last]);
        self.email.clear();
        push_letters(&mut self.email, 7, random);
        self.email.push('@');
        push_letters(&mut self.email, 5, random);
        self.email.push_str(".com");
        self.credit_card.clear();
        for space in ["", " ", " ", " "] {
            let _ = write!(self.credit_card, "{space}{:04}", random.below(10_000));
        }
        set(&mut self.city, &[pick(&CITIES, random)]);
        set(&mut self.state, &[pick(&STATES, random)]);
        self.extra.clear();
        push_extra(&mut self.extra, 130, random);
    }

    fn push_row(&self, text: &mut String) {
        let TextPerson {
            id,
            name,
            email,
            credit_card,
            ..
        } = self;
        let TextPerson {
            city,
            state,
            date_time_ms,
            extra,
            ..
        } = self;
        let _ = writeln!(
            text,
            "{id},{name},{email},{credit_card},{city},{state},{date_time_ms},{extra}"
        );
    }
}

impl MadeUp for TextAuction {
    const COLUMNS: &'static str =
        "id,item_name,description,initial_bid,reserve,date_time,expires,seller,category,extra";

    fn become_number(&mut self, number: u64, recipe: &Recipe) {
        let random = &mut recipe.random(0xB3, number);
        let auction = recipe.timeline.auction(number, random);
        let date_time_ms = recipe.disturbed(auction.date_time_ms, random);
        self.id = auction.id;
        self.initial_bid = auction.initial_bid;
        self.reserve = auction.initial_bid + random.price();
        self.date_time_ms = date_time_ms;
        self.expires_ms = auction.expires_ms;
        self.seller = auction.seller;
        self.category = auction.category;
        for (text, average) in [
            (&mut self.item_name, 12),
            (&mut self.description, 50),
            (&mut self.extra, 390),
        ] {
            text.clear();
            push_extra(text, average, random);
        }
    }

    fn push_row(&self, text: &mut String) {
        let TextAuction {
            id,
            item_name,
            description,
            initial_bid,
            reserve,
            ..
        } = self;
        let TextAuction {
            date_time_ms,
            expires_ms,
            seller,
            category,
            extra,
            ..
        } = self;
        let _ = writeln!(
            text,
            "{id},{item_name},{description},{initial_bid},{reserve},{date_time_ms},{expires_ms},\
             {seller},{category},{extra}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nexmark::Timeline;

    const RECIPE: Recipe = Recipe {
        seed: 42,
        timeline: Timeline::new(10_000),
        jitter_ms: 30,
    };

    fn row<T: MadeUp>(record: &mut T, number: u64) -> String {
        let mut text = String::new();
        record.become_number(number, &RECIPE);
        record.push_row(&mut text);
        text
    }

    /// Checks that a record does not depend on what the value held before, and is a row of all columns.
    fn assert_made_by_number<T: MadeUp>() {
        let mut used = T::default();
        for number in [7, 0, 1_000_000, 8] {
            let text = row(&mut used, number);
            assert_eq!(text, row(&mut T::default(), number));
            assert_ne!(text, row(&mut T::default(), number + 1));
            assert_eq!(text.matches(',').count(), T::COLUMNS.matches(',').count());
            assert!(text.ends_with('\n') && !text.contains('"'));
        }
    }

    #[test]
    fn records_are_made_by_their_number_alone() {
        assert_made_by_number::<TextBid>();
        assert_made_by_number::<TextPerson>();
        assert_made_by_number::<TextAuction>();
    }

    #[test]
    fn half_of_the_bids_come_through_hot_channels_and_most_others_say_which() {
        let mut bid = TextBid::default();
        let (mut hot, mut with_id, mut newest) = (0, 0, i64::MIN);
        for number in 0..10_000 {
            bid.become_number(number, &RECIPE);
            hot += usize::from(HOT_CHANNELS.contains(&&*bid.channel));
            with_id += usize::from(bid.url.contains("&channel_id="));
            assert_eq!(bid.url.split('/').count(), 7, "{}", bid.url);
            newest = newest.max(bid.date_time_ms);
            assert!(newest - bid.date_time_ms <= 30);
        }
        assert!((4800..5200).contains(&hot), "{hot} hot");
        assert!((4300..4700).contains(&with_id), "{with_id} with an id");
    }
}
