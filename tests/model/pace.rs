//! Pace, limits and turns over simulated hours: what may go when, and what is said meanwhile.

use std::collections::BTreeMap;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use gistfs::api::{ApiError, FileChange};
use gistfs::model::Time;
use gistfs::sync::report::Owing;
use gistfs::sync::standing::Standing;

use crate::github::{Sent, name};
use crate::mount::Mount;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A mount of so many gists of one file each, on a GitHub with limits, everything seen.
fn with_gists(count: usize) -> Mount {
    with_gists_and_interval(count, None)
}

fn with_gists_and_interval(count: usize, interval: Option<Duration>) -> Mount {
    let mount = Mount::paced(interval);
    for number in 0..count {
        mount.github.create_elsewhere(&title(number), &[("note.md", b"old\n")]);
    }
    mount.github.set_quota(5000, mount.clock.now().after(HOUR));
    mount.clock.pass(MINUTE);
    mount.refresh();
    mount.look(false).expect("a tree");
    mount.github.take_counts();
    mount
}

fn title(number: usize) -> String {
    format!("gist {number:03}")
}

fn edit(mount: &Mount, number: usize, text: &str) {
    mount.save(&title(number), "note.md", text.as_bytes()).expect("saved");
    mount.clock.pass(Duration::from_millis(10));
}

/// What was sent, as the number of the gist and the new text.
fn sent(mount: &Mount, count: usize) -> Vec<(usize, String)> {
    let ids: BTreeMap<_, _> =
        (0..count).map(|number| (mount.github.id(&title(number)), number)).collect();
    let told = |sent: Sent| {
        let Sent::Update(id, mut patch) = sent else { panic!("{sent:?}") };
        let Some(FileChange::Write(text)) = patch.files.remove(&name("note.md")) else {
            panic!("{patch:?}")
        };
        (ids[&id], text)
    };
    mount.github.sent().into_iter().map(told).collect()
}

/// Does what the mount's thread does until nothing is owed or `enough` says so: sends what is due
/// and sleeps until the time it was told.
fn run(mount: &Mount, mut enough: impl FnMut() -> bool) {
    while !enough() {
        let now = mount.clock.now();
        let Some(next) = mount.fs().syncer().send_what_is_due(now) else { return };
        // Never again at once: that would be a loop.
        mount.clock.pass(next.since(mount.clock.now()).max(Duration::from_millis(1)));
    }
}

#[track_caller]
fn assert_pace(times: &[Time]) {
    for (count, window) in [(1, SECOND), (80, MINUTE), (500, HOUR)] {
        for span in times.windows(count + 1) {
            let took = span[count].since(span[0]);
            assert!(took >= window, "{} changes within {took:?}", count + 1);
        }
    }
}

#[test]
fn six_hundred_gists_changed_at_once_drain_at_the_allowed_rate_the_newest_first() {
    const COUNT: usize = 600;
    let mut mount = with_gists(COUNT);
    let start = mount.clock.now();
    for number in 0..COUNT {
        edit(&mount, number, &format!("new {number}\n"));
    }
    mount.clock.pass(SECOND * 10);
    run(&mount, || mount.github.sent_at().len() == 20);
    let report = mount.fs().syncer().report();
    assert_eq!(report.owing.len(), COUNT - 20);
    assert!(report.owing.iter().all(|gist| gist.state == Standing::Pending && gist.tries == 0));
    let pace = report.pace.expect("a pace");
    assert_eq!((pace.minute, pace.minute_left, pace.hour, pace.hour_left), (20, 60, 20, 480));
    let all = Time::parse(&pace.all).expect("a time");
    // Edited again and again while it waits: one request, and its turn comes sooner. One that was
    // sent already owes another.
    for round in 0..5 {
        edit(&mount, 7, &format!("again {round}\n"));
    }
    edit(&mount, 599, "once more\n");
    run(&mount, || mount.github.sent_at().len() == 400);
    // Whoever mounts again has no new hour.
    mount.kill_and_remount();
    mount.look(false).expect("a tree");
    run(&mount, || mount.github.sent_at().len() == 499);
    mount.fs().syncer().send_what_is_due(mount.clock.now());
    let waiting = mount.fs().syncer().report().waiting.expect("a reason");
    assert!(waiting.why.contains("500 an hour"), "{waiting:?}");
    run(&mount, || false);

    let times = mount.github.sent_at();
    assert_pace(&times);
    let took = times[COUNT].since(start);
    assert!(took > HOUR && took < HOUR + MINUTE * 5, "{took:?}");
    assert!(all > start.after(HOUR) && all <= times[COUNT], "{all}");
    println!("{} changes went in {took:?}", times.len());
    let went = sent(&mount, COUNT);
    assert_eq!(went.len(), COUNT + 1, "what waits is sent once, as it is then");
    let order: Vec<usize> = went.iter().map(|(number, _)| *number).collect();
    let mut expected: Vec<usize> = (0..COUNT).rev().filter(|number| *number != 7).collect();
    // Edited again, 7 is the newest of those that wait; 599 has had a turn, and is the fourth then.
    expected.insert(20, 7);
    let again = order.iter().rposition(|number| *number == 599).expect("a second turn");
    assert!((21..30).contains(&again), "{again}");
    expected.insert(again, 599);
    assert_eq!(order, expected);
    assert_eq!(went[20].1, "again 4\n");
    for number in 0..COUNT {
        let here = mount.text(&title(number), "note.md");
        assert_eq!(mount.github.texts(&title(number))["note.md"], here);
    }
    let counts = mount.github.take_counts();
    assert_eq!(counts.gets, COUNT + 1, "one look a change, and none before it may go");
    assert_eq!(mount.github.complaints(), [""; 0]);
}

#[test]
fn a_gist_that_never_rests_starves_nobody() {
    // So far apart that a gist that is edited after every turn is due, and the newest, at the next.
    let mount = with_gists_and_interval(20, Some(SECOND * 10));
    for number in 0..20 {
        edit(&mount, number, "new\n");
    }
    let mut round = 0;
    run(&mount, || {
        round += 1;
        edit(&mount, 0, &format!("line {round}\n"));
        mount.fs().syncer().report().owing.len() == 1 || round == 200
    });
    let sent = sent(&mount, 20);
    let restless = sent.iter().filter(|(number, _)| *number == 0).count();
    assert!((2..=10).contains(&restless), "{sent:?}");
    assert_eq!(sent.len() - restless, 19, "all the others went, once each: {sent:?}");
}

#[test]
fn a_limit_of_github_holds_everything_back_and_is_no_failure_of_a_gist() {
    let mut mount = with_gists(3);
    edit(&mount, 0, "new\n");
    let limited = ApiError::Limited {
        message: "You have exceeded a secondary rate limit.".into(),
        wait: Some(SECOND * 600),
        secondary: true,
    };
    mount.github.fail_next(limited, false);
    mount.pass(SECOND * 2);
    assert_eq!(mount.github.sent_at().len(), 1);
    let asked = mount.clock.now();
    edit(&mount, 1, "new\n");
    for remounted in [false, true] {
        if remounted {
            mount.kill_and_remount();
            mount.look(false).expect("a tree");
        }
        mount.github.take_counts();
        mount.pass(SECOND * 60);
        let report = mount.fs().syncer().report();
        let waiting = report.waiting.expect("a reason");
        assert!(waiting.why.contains("secondary rate limit"), "{waiting:?}");
        assert!(Time::parse(&waiting.until).expect("a time") >= asked.after(SECOND * 599));
        for gist in &report.owing {
            assert_eq!((&gist.state, gist.tries), (&Standing::Pending, 0), "{gist:?}");
        }
        // Nor does it help to ask: what cannot go in time does not keep the asker waiting.
        let until = mount.clock.now().after(SECOND * 60);
        let left = mount.fs().syncer().drain(until, false);
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(mount.clock.now() < until);
        assert_eq!(mount.github.take_counts(), crate::github::Counts::default());
    }
    // Who has patience gets it sent.
    let left = mount.fs().syncer().drain(mount.clock.now().after(SECOND * 700), false);
    assert_eq!(left, []);
    assert!(mount.github.sent_at()[1].since(asked) >= SECOND * 600 - SECOND);
    assert_pace(&mount.github.sent_at());
    assert_eq!(mount.fs().syncer().report().waiting, None);
}

#[test]
fn the_last_tenth_of_the_quota_is_left_for_what_the_user_asks_for() {
    let mount = with_gists(2);
    mount.github.set_quota(499, mount.clock.now().after(SECOND * 1800));
    edit(&mount, 0, "new\n");
    mount.pass(MINUTE);
    assert_eq!(mount.github.sent_at().len(), 0);
    let waiting = mount.fs().syncer().report().waiting.expect("a reason");
    assert!(waiting.why.contains("last tenth"), "{waiting:?}");
    let left = mount.fs().syncer().drain(mount.clock.now().after(MINUTE), false);
    assert_eq!((left.len(), mount.github.sent_at().len()), (0, 1));
    edit(&mount, 1, "new\n");
    mount.pass(SECOND * 1700);
    assert_eq!(mount.github.sent_at().len(), 1);
    mount.pass(MINUTE);
    assert_eq!(mount.github.sent_at().len(), 2, "the quota is full again");
}

#[test]
fn a_wrong_clock_does_not_stop_the_uploads_for_longer_than_a_quota_lasts() {
    let mount = with_gists(1);
    mount.github.set_quota(0, mount.clock.now().after(HOUR * 24 * 365));
    edit(&mount, 0, "new\n");
    mount.pass(MINUTE);
    mount.pass(MINUTE * 58);
    assert_eq!(mount.github.sent_at().len(), 0);
    mount.pass(MINUTE * 2);
    assert_eq!(mount.github.sent_at().len(), 1);
}

#[test]
fn who_asks_waits_for_the_pace_and_sees_how_it_goes() {
    let mount = with_gists(90);
    for number in 0..90 {
        edit(&mount, number, "new\n");
    }
    let mut seen = Vec::new();
    let until = mount.clock.now().after(MINUTE * 10);
    let mut see = |progress: &gistfs::sync::Progress| seen.push(progress.clone());
    assert_eq!(mount.fs().syncer().drain_telling(until, false, &mut see), []);
    assert_pace(&mount.github.sent_at());
    let last = seen.last().expect("progress");
    assert_eq!((last.done, last.total), (90, 90));
    assert!(seen.is_sorted_by_key(|progress| progress.done));
    assert_eq!(seen[0].title.as_deref(), Some("gist 089"), "the newest first");
}

#[test]
fn what_failed_and_is_tried_again_by_itself_is_counted_with_what_is_to_go() {
    let mount = with_gists(3);
    (0..3).for_each(|number| edit(&mount, number, "new\n"));
    mount.github.fail_next(ApiError::Server(502), false);
    mount.github.fail_next(ApiError::Refused { status: 422, message: "no".into() }, false);
    mount.pass(SECOND * 10);
    mount.clock.pass(SECOND);
    run(&mount, || mount.github.sent_at().len() == 2);
    let report = mount.fs().syncer().report();
    let told = |gist: &Owing| (gist.is_pending(), gist.goes_by_itself(), gist.is_missing());
    let by_title: BTreeMap<&str, _> =
        report.owing.iter().map(|gist| (gist.title.as_str(), told(gist))).collect();
    assert_eq!(by_title["gist 002"], (false, true, true), "{report:?}");
    assert_eq!(by_title["gist 001"], (false, false, true), "{report:?}");
    assert_eq!(by_title["gist 000"], (true, true, true), "{report:?}");
    let pace = report.pace.expect("a pace");
    let time = |text: &str| Time::parse(text).expect("a time");
    assert_eq!(time(&pace.all).since(time(&pace.next)), SECOND, "two are to go");
}

#[test]
fn the_title_of_what_failed_is_logged_when_it_begins_and_when_it_ends() {
    let mount = with_gists(1);
    let heard = listen();
    mount.save("gist 000", "note.md", b"new\n").expect("saved");
    mount.rename_gist("gist 000", "loud gist", gistfs::fs::RenameMode::Replace).expect("renamed");
    let host = || "api.test".to_owned();
    for round in 0..12 {
        let error = match round % 3 {
            0 => ApiError::Server(502),
            1 => ApiError::Server(503),
            _ => ApiError::Unreachable { host: host(), detail: "no route".into() },
        };
        mount.github.fail_next(error, false);
    }
    run(&mount, || false);
    assert_eq!(mount.github.sent_at().len(), 13);
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    let about: Vec<&(log::Level, String)> =
        heard.iter().filter(|(_, line)| line.contains("loud gist")).collect();
    let levels: Vec<log::Level> = about.iter().map(|(level, _)| *level).collect();
    assert_eq!(levels, [log::Level::Warn, log::Level::Info], "{about:?}");
}

/// Everything at least as loud as a note, from now on.
fn listen() -> &'static Mutex<Vec<(log::Level, String)>> {
    struct Ear;
    static HEARD: Mutex<Vec<(log::Level, String)>> = Mutex::new(Vec::new());
    static ONCE: Once = Once::new();
    impl log::Log for Ear {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.level() <= log::Level::Info
        }
        fn log(&self, record: &log::Record<'_>) {
            if self.enabled(record.metadata()) {
                let line = (record.level(), record.args().to_string());
                HEARD.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        }
        fn flush(&self) {}
    }
    ONCE.call_once(|| {
        log::set_logger(&Ear).expect("nobody else listens");
        log::set_max_level(log::LevelFilter::Info);
    });
    &HEARD
}
