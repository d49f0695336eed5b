use proptest::prelude::*;

use super::*;

/// Directories of three files each; numbers go up.
struct Shelf {
    directories: u64,
}

const EACH: u64 = 3;
const MOST: Most = Most { files: 128, bytes: 8 << 20 };

impl Shelf {
    fn spot(number: u64) -> Spot {
        Spot { directory: Ino(number / EACH), file: Ino(number) }
    }
}

impl Order for Shelf {
    fn beside(&self, spot: Spot, way: Way) -> Option<Spot> {
        let next = match way {
            Way::Down => spot.file.0 + 1,
            Way::Up => spot.file.0.checked_sub(1)?,
        };
        (next < self.directories * EACH).then(|| Self::spot(next))
    }
}

fn item(number: u64, size: u64) -> Item {
    Item { spot: Shelf::spot(number), size, kind: number % EACH }
}

/// A reader whose bodies come at once.
struct World {
    shelf: Shelf,
    runs: Runs,
    here: BTreeSet<u64>,
    size: u64,
    read: BTreeSet<u64>,
}

impl World {
    fn new() -> Self {
        let shelf = Shelf { directories: 1000 };
        let (here, read) = (BTreeSet::new(), BTreeSet::new());
        Self { shelf, runs: Runs::default(), here, size: 2048, read }
    }

    /// Reads a file; what is fetched ahead then.
    fn read(&mut self, number: u64) -> Vec<u64> {
        self.runs.claimed(Ino(number));
        if self.here.insert(number) {
            self.runs.missed(item(number, self.size), &self.shelf);
        }
        self.read.insert(number);
        let mut fetched = Vec::new();
        let (here, size) = (&self.here, self.size);
        let lacks =
            |spot: Spot| Some((!here.contains(&spot.file.0)).then(|| item(spot.file.0, size)));
        while let Some(Next::Fetch(spot)) = self.runs.next(MOST, &self.shelf, &lacks) {
            fetched.push(spot.file.0);
            if fetched.len() > 1000 {
                break;
            }
        }
        self.here.extend(&fetched);
        fetched
    }

    fn in_vain(&self) -> usize {
        self.here.difference(&self.read).count()
    }
}

#[test]
fn nothing_is_fetched_for_the_first_file_and_then_as_much_as_was_read() {
    let mut world = World::new();
    assert!(world.read(3).is_empty());
    // Within the directory only, until the reader goes on into the next.
    assert_eq!(world.read(4), [5]);
    assert!(world.read(5).is_empty());
    assert_eq!(world.read(6), [7, 8, 9, 10]);
    assert_eq!(world.read(7), [11, 12]);
    for number in 8..1000 {
        world.read(number);
    }
    assert_eq!(world.in_vain(), MOST.files);
}

#[test]
fn who_goes_backwards_is_followed_too() {
    let mut world = World::new();
    world.read(300);
    assert_eq!(world.read(299), [298, 297]);
}

#[test]
fn a_jump_ends_it_and_readers_in_two_places_have_a_run_each() {
    let mut world = World::new();
    for number in 0..20 {
        world.read(number);
    }
    let ahead = world.in_vain();
    assert!(world.read(2000).is_empty());
    assert!(!world.read(2001).is_empty());
    assert!(!world.read(20).is_empty(), "the first one goes on");
    assert!(!world.read(2002).contains(&21) && ahead == 20);
}

#[test]
fn small_disorder_is_no_jump() {
    let mut world = World::new();
    for block in (0..300).collect::<Vec<u64>>().chunks(6) {
        for at in [2, 0, 5, 1, 4, 3] {
            world.read(block[at]);
        }
    }
    assert_eq!(world.runs.runs.len(), 1);
    assert_eq!(world.in_vain(), MOST.files);
}

#[test]
fn a_program_that_leaves_files_out_is_followed_and_what_is_here_is_passed_over() {
    let mut world = World::new();
    world.here.extend(30..200);
    for number in (0..30).chain(200..210) {
        world.read(number);
    }
    assert_eq!(world.runs.runs.len(), 1);
    assert!(world.here.contains(&240));
}

#[test]
fn of_a_reader_of_one_kind_of_files_others_are_soon_left_out() {
    let mut world = World::new();
    for number in (1..3000).step_by(3) {
        world.read(number);
    }
    assert_eq!(world.runs.runs.len(), 1);
    let in_vain = world.in_vain();
    assert!(in_vain < 3 * MOST.files, "{in_vain} were fetched in vain");
}

#[test]
fn of_a_reader_who_never_reads_what_was_fetched_nothing_more_is_until_it_goes_file_by_file() {
    let mut world = World::new();
    for number in (0..2700).step_by(10) {
        world.read(number);
    }
    let in_vain = world.in_vain();
    assert!(in_vain <= MOST_IN_VAIN + SLACK + 1, "{in_vain} were fetched in vain");
    world.read(2691);
    world.read(2692);
    assert!(world.in_vain() > in_vain);
}

#[test]
fn bytes_are_bounded_by_what_was_read_and_by_the_most() {
    let mut world = World::new();
    world.size = 512 << 10;
    world.read(0);
    world.read(1);
    world.read(3);
    assert_eq!(world.in_vain(), 3, "2 was passed over, so only what follows is ahead");
    for number in 4..400 {
        world.read(number);
    }
    assert_eq!(world.in_vain() as u64 * world.size, MOST.bytes);
    world.size = MOST.bytes + 1;
    assert!(world.read(1000).is_empty() && world.read(1001).is_empty());
}

#[test]
fn what_does_not_come_is_left_to_who_reads_it_and_what_is_behind_comes() {
    let mut world = World::new();
    for number in 0..6 {
        world.read(number);
    }
    let lost = *world.here.difference(&world.read).next().unwrap();
    let last = *world.here.last().unwrap();
    world.here.remove(&lost);
    world.runs.left(Ino(lost));
    let next = Shelf::spot(last + 1);
    // What is not known yet is to be looked at first.
    assert_eq!(world.runs.next(MOST, &world.shelf, &|_| None), Some(Next::Look(next)));
    let lacks = |spot: Spot| Some(Some(item(spot.file.0, 10)));
    assert_eq!(world.runs.next(MOST, &world.shelf, &lacks), Some(Next::Fetch(next)));
}

#[test]
fn one_file_read_in_pieces_is_one_file() {
    let mut world = World::new();
    for _ in 0..5 {
        world.runs.missed(item(3, 10), &world.shelf);
    }
    assert!(world.read(500).is_empty());
    assert_eq!(world.runs.runs[0].files, 1);
}

proptest! {
    /// Whoever reads, in whatever order, no more is fetched in vain than was read.
    #[test]
    fn in_vain_is_at_most_what_was_read(
        steps in prop::collection::vec((0..3000_u64, 1..40_u64, any::<bool>()), 1..60)
    ) {
        let mut world = World::new();
        for (from, length, back) in steps {
            for offset in 0..length {
                let number = if back { from.saturating_sub(offset) } else { from + offset };
                world.read(number.min(2999));
                prop_assert!(world.in_vain() <= world.read.len());
            }
        }
    }
}
