//! Queries of records with strings: what the program generates in memory is what it writes as CSV.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::program::{assert_fails, succeed};

use super::assert_rows;
use super::tally::Tally;

/// The fields of a row.
type Row = Vec<String>;

/// The rows of a CSV file without quotes, and its columns.
fn rows(directory: &Path, name: &str) -> (String, Vec<Row>) {
    let text = fs::read_to_string(directory.join(name)).expect("the file is there");
    let mut lines = text.lines();
    let columns = lines.next().expect("a header").to_owned();
    let row = |line: &str| line.split(',').map(str::to_owned).collect();
    (columns, lines.map(row).collect())
}

fn number(field: &str) -> u64 {
    field.parse().expect("a number")
}

fn hash(field: &str) -> u64 {
    xxh3_64(field.as_bytes())
}

/// A bid with its strings.
struct Bid {
    auction: u64,
    bidder: u64,
    price: u64,
    channel: String,
    url: String,
    at: u64,
    extra: String,
}

impl Bid {
    fn of(row: Row) -> Bid {
        let [auction, bidder, price, channel, url, at, extra] =
            row.try_into().expect("seven fields");
        Bid {
            auction: number(&auction),
            bidder: number(&bidder),
            price: number(&price),
            channel,
            url,
            at: number(&at),
            extra,
        }
    }
}

fn q0(bids: &[Bid]) -> Tally {
    Tally::of(bids.iter().map(|bid| {
        let (channel, url) = (hash(&bid.channel), hash(&bid.url));
        [
            bid.auction,
            bid.bidder,
            bid.price,
            channel,
            url,
            bid.at,
            hash(&bid.extra),
        ]
    }))
}

fn q1(bids: &[Bid]) -> Tally {
    Tally::of(bids.iter().map(|bid| {
        let price = (bid.price as f64 * 0.908) as u64;
        [bid.auction, bid.bidder, price, bid.at, hash(&bid.extra)]
    }))
}

fn q2(bids: &[Bid]) -> Tally {
    let bids = bids.iter().filter(|bid| bid.auction % 123 == 0);
    Tally::of(bids.map(|bid| [bid.auction, bid.price]))
}

fn q3(persons: &[Row], auctions: &[Row]) -> Tally {
    let mut rows = Vec::new();
    for auction in auctions.iter().filter(|auction| auction[8] == "10") {
        for person in persons.iter().filter(|person| person[0] == auction[7]) {
            let [name, city, state] = [&person[1], &person[4], &person[5]];
            if ["OR", "ID", "CA"].contains(&&**state) {
                rows.push([hash(name), hash(city), hash(state), number(&auction[0])]);
            }
        }
    }
    Tally::of(rows)
}

fn q14(bids: &[Bid]) -> Tally {
    let mut rows = Vec::new();
    for bid in bids {
        let price = bid.price as f64 * 0.908;
        if price > 1_000_000.0 && price < 50_000_000.0 {
            let hour = bid.at / 3_600_000 % 24;
            let time = if (8..=18).contains(&hour) {
                "dayTime"
            } else if hour <= 6 || hour >= 20 {
                "nightTime"
            } else {
                "otherTime"
            };
            rows.push([
                bid.auction,
                bid.bidder,
                bid.price * 908,
                hash(time),
                bid.at,
                hash(&bid.extra),
                bid.extra.matches('c').count() as u64,
            ]);
        }
    }
    Tally::of(rows)
}

fn q16(bids: &[Bid]) -> Tally {
    let mut groups: BTreeMap<(&str, u64), Vec<&Bid>> = BTreeMap::new();
    for bid in bids {
        groups
            .entry((&bid.channel, bid.at / 86_400_000))
            .or_default()
            .push(bid);
    }
    Tally::of(groups.into_iter().map(|((channel, day), bids)| {
        let mut row = [0; 15];
        let minute = bids
            .iter()
            .map(|bid| bid.at / 60_000 % 1440)
            .max()
            .expect("bids");
        row[..3].copy_from_slice(&[hash(channel), day, minute]);
        let limits = [
            (0, u64::MAX),
            (0, 10_000),
            (10_000, 1_000_000),
            (1_000_000, u64::MAX),
        ];
        for (place, (from, to)) in limits.into_iter().enumerate() {
            let bids = bids.iter().filter(|bid| (from..to).contains(&bid.price));
            row[3 + place] = bids.clone().count() as u64;
            let bidders: BTreeSet<_> = bids.clone().map(|bid| bid.bidder).collect();
            row[7 + place] = bidders.len() as u64;
            let auctions: BTreeSet<_> = bids.map(|bid| bid.auction).collect();
            row[11 + place] = auctions.len() as u64;
        }
        row
    }))
}

fn q21(bids: &[Bid]) -> Tally {
    let mut rows = Vec::new();
    for bid in bids {
        let id = match bid.channel.to_lowercase().as_str() {
            "apple" => Some("0"),
            "google" => Some("1"),
            "facebook" => Some("2"),
            "baidu" => Some("3"),
            _ => bid.url.split_once("&channel_id=").map(|(_, id)| id),
        };
        if let Some(id) = id {
            rows.push([
                bid.auction,
                bid.bidder,
                bid.price,
                hash(&bid.channel),
                hash(id),
            ]);
        }
    }
    Tally::of(rows)
}

fn q22(bids: &[Bid]) -> Tally {
    Tally::of(bids.iter().map(|bid| {
        let path = bid
            .url
            .strip_prefix("https://www.nexmark.com/")
            .expect("a URL");
        let directories: Vec<_> = path.split('/').collect();
        let [first, second, third] = [0, 1, 2].map(|place| hash(directories[place]));
        let channel = hash(&bid.channel);
        [
            bid.auction,
            bid.bidder,
            bid.price,
            channel,
            first,
            second,
            third,
        ]
    }))
}

/// How many records the queries of persons and auctions read from each, and how many those of bids read.
const FIRST: (usize, usize) = (1000, 3000);

#[test]
fn records_with_strings_give_what_the_oracles_say_of_their_files() {
    for jitter in ["0", "200"] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().to_str().expect("text");
        // With this many bids there are a thousand persons.
        let options = ["--only=text", "--bids=46000", "--jitter-ms", jitter];
        succeed(&[&["generate", "--data", path], &options[..]].concat());
        let read = |name: &str, columns: &str, first: usize| {
            let (header, mut rows) = rows(directory.path(), name);
            assert_eq!(header, columns);
            rows.truncate(first);
            rows
        };
        let columns = "id,name,email,credit_card,city,state,date_time,extra";
        let persons = read("text_persons.csv", columns, FIRST.0);
        let columns = "id,item_name,description,initial_bid,reserve,date_time,expires,seller,\
                       category,extra";
        let auctions = read("text_auctions.csv", columns, FIRST.0);
        let columns = "auction,bidder,price,channel,url,date_time,extra";
        let bids = read("text_bids.csv", columns, FIRST.1);
        let bids: Vec<_> = bids.into_iter().map(Bid::of).collect();

        let options = ["--strings", "--jitter-ms", jitter, "--limit"];
        let of_both = [("q3", 2 * FIRST.0, q3(&persons, &auctions))];
        assert_rows(&[&options[..], &["1000"]].concat(), &of_both);
        let of_bids = [
            ("q0", q0(&bids)),
            ("q1", q1(&bids)),
            ("q2", q2(&bids)),
            ("q14", q14(&bids)),
            ("q16", q16(&bids)),
            ("q21", q21(&bids)),
            ("q22", q22(&bids)),
        ];
        let of_bids = of_bids.map(|(query, rows)| (query, FIRST.1, rows));
        assert_rows(&[&options[..], &["3000"]].concat(), &of_bids);
    }
}

#[test]
fn query_without_strings_says_so() {
    let parts = ["'--strings' cannot be used with 'q5'"];
    assert_fails(&["bench", "q0", "q5", "--strings"], 2, &parts);
}
