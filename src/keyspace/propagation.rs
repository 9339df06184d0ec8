//! What is propagated: the commands of one unit, in the form that has their effect anywhere, on their way to the log of
//! changes.
//!
//! A unit is what happens at once: a command, a transaction, a script, one client served that waited. Each of its
//! commands that changed something is gathered here as it came, unless its handler gives another form (`replace`), adds
//! commands (`add`) or wants none (`suppress`). A key found expired is gathered as its deletion, before the command
//! that found it. While the log has no reader all of this costs one branch.

use super::change_log::unit::{encode, shrink};
use super::change_log::{ChangeLog, Targets, Unit};
use crate::resp::Args;

/// In which form the present command is propagated, if it changed something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    AsGiven,
    /// As it came, to these targets, whether or not it changed anything.
    Forced(Targets),
    /// As `own` says.
    Replaced,
    /// Not at all.
    Nothing,
}

/// What the present unit has gathered so far.
pub struct Pending {
    unit: Unit,
    /// Number of changes that are propagated or need not be.
    accounted: u64,
    form: Form,
    own: Vec<u8>,
    /// To whom the present command goes.
    targets: Targets,
}

impl Default for Pending {
    fn default() -> Pending {
        Pending { unit: Unit::default(), accounted: 0, form: Form::AsGiven, own: Vec::new(), targets: Targets::ALL }
    }
}

/// The present unit, and the log that it goes to.
pub struct Propagation {
    /// The log of changes, with its readers.
    pub log: ChangeLog,
    /// How the deletion of an expired key is named.
    deletion: &'static [u8],
    /// The same of a key that a command has used up.
    removal: &'static [u8],
    pending: Pending,
}

impl Default for Propagation {
    fn default() -> Propagation {
        Propagation { log: ChangeLog::default(), deletion: DELETE, removal: DELETE, pending: Pending::default() }
    }
}

const DELETE: &[u8] = b"DEL";
const UNLINK: &[u8] = b"UNLINK";

impl Propagation {
    /// Whether changes are propagated: the log has a reader. A handler that has to work for another form asks first.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.log.is_read()
    }

    /// Puts the present unit away, and gathers nothing until `resume`.
    pub fn set_aside(&mut self) -> Pending {
        self.log.mute(true);
        std::mem::take(&mut self.pending)
    }

    /// Goes on with the unit that was put away, or with a new one.
    pub fn resume(&mut self, pending: Pending) {
        self.pending = pending;
        self.log.mute(false);
    }

    /// Whether an expired key is propagated as UNLINK rather than DEL, and whether one that a command has used up is.
    pub fn set_lazy(&mut self, expiry_is_lazy: bool, removal_is_lazy: bool) {
        let name = |is_lazy| if is_lazy { UNLINK } else { DELETE };
        (self.deletion, self.removal) = (name(expiry_is_lazy), name(removal_is_lazy));
    }

    /// How the deletion of an expired key is named.
    pub fn deletion(&self) -> &'static [u8] {
        self.deletion
    }

    /// The present command is propagated as the deletion of a key that it has used up, or that it was to replace.
    pub fn replace_by_removal(&mut self, key: &[u8]) {
        self.replace(&[self.removal, key]);
    }

    /// To whom the commands from now on go (`redis.set_repl`). Keys that expire, and what handlers add, go to all.
    #[inline]
    pub fn set_targets(&mut self, targets: Targets) {
        self.pending.targets = targets;
    }

    /// A command begins; `total` is the number of changes so far.
    #[inline]
    pub fn begin(&mut self, total: u64) {
        self.pending.accounted = total;
    }

    /// The present command is propagated in this form.
    pub fn replace(&mut self, arguments: &[&[u8]]) {
        self.replace_with(arguments.len(), arguments.iter().copied());
    }

    /// The present command is propagated in this form, whose arguments come one by one.
    pub fn replace_with<'a>(&mut self, count: usize, arguments: impl Iterator<Item = &'a [u8]>) {
        if self.is_on() {
            self.pending.form = Form::Replaced;
            self.pending.own.clear();
            encode(&mut self.pending.own, count, arguments);
        }
    }

    /// This command is propagated before the present one.
    pub fn add(&mut self, database: usize, arguments: &[&[u8]]) {
        self.add_with(database, arguments.len(), arguments.iter().copied());
    }

    /// A command, whose arguments come one by one, is propagated before the present one.
    pub fn add_with<'a>(&mut self, database: usize, count: usize, arguments: impl Iterator<Item = &'a [u8]>) {
        if self.is_on() {
            self.pending.unit.add(Targets::ALL, database, count, arguments);
        }
    }

    /// The form that was set for the present command is propagated as a command of its own; the present one gets
    /// another form.
    pub fn add_form(&mut self, database: usize) {
        if self.is_on() && self.pending.form == Form::Replaced {
            let Pending { unit, own, form, targets, .. } = &mut self.pending;
            let targets = *targets & self.log.targets();
            if !targets.is_empty() {
                unit.add_encoded(targets, database, own);
            }
            *form = Form::Nothing;
        }
    }

    /// The present command is not propagated: what was added stands for it, or it concerns no other server.
    pub fn suppress(&mut self) {
        if self.is_on() {
            self.pending.form = Form::Nothing;
        }
    }

    /// The present command is propagated to these targets even if it changes nothing.
    pub fn force(&mut self, targets: Targets) {
        if self.is_on() {
            self.pending.form = Form::Forced(targets);
        }
    }

    /// A key is gone because its time was over, or to make room.
    #[inline]
    pub fn delete(&mut self, database: usize, key: &[u8]) {
        if self.is_on() {
            self.add(database, &[self.deletion, key]);
        }
    }

    /// The present command is over, and no unit is open that it would be part of. If it is to be passed on as it came,
    /// and nothing is before it, it goes to the log without a detour; gives whether it did.
    #[inline]
    pub fn append_alone(&mut self, total: u64, database: usize, args: Args<'_>, time_s: Option<i64>) -> bool {
        let pending = &mut self.pending;
        let targets = pending.targets & self.log.targets();
        let is_as_given = pending.form == Form::AsGiven && pending.accounted != total;
        // Commands for nodes that slots move to are taken from the unit.
        if !is_as_given || targets.is_empty() || targets.has_moves() || !pending.unit.is_empty() {
            return false;
        }
        let Some(bytes) = args.encoded() else {
            return false;
        };
        pending.accounted = total;
        self.log.append_command(targets, database, bytes, time_s);
        true
    }

    /// The present command is over: it is gathered if it changed something.
    pub fn finish(&mut self, total: u64, database: usize, args: Args<'_>) {
        let Pending { unit, accounted, form, own, targets } = &mut self.pending;
        let has_changed = std::mem::replace(accounted, total) != total;
        let form = std::mem::take(form);
        let targets = match form {
            Form::Forced(forced) => forced & *targets,
            _ => *targets,
        } & self.log.targets();
        if targets.is_empty() {
            return;
        }
        match form {
            Form::AsGiven if !has_changed => {}
            Form::AsGiven | Form::Forced(_) => match args.encoded() {
                Some(bytes) => unit.add_encoded(targets, database, bytes),
                None => unit.add(targets, database, args.len(), args.iter()),
            },
            Form::Replaced if has_changed => unit.add_encoded(targets, database, own),
            Form::Replaced | Form::Nothing => {}
        }
    }

    /// The present command is over and is none to be propagated, whatever it changed.
    pub fn skip(&mut self, total: u64) {
        self.pending.accounted = total;
        self.pending.form = Form::AsGiven;
    }

    /// Whether nothing is gathered.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pending.unit.is_empty()
    }

    /// The present unit.
    pub fn unit(&self) -> &Unit {
        &self.pending.unit
    }

    /// The unit is over: it goes to the log, as a transaction if its commands belong together.
    pub fn end_unit(&mut self, belong_together: bool, time_s: Option<i64>) {
        self.log.append_unit(&self.pending.unit, belong_together, time_s);
        self.pending.unit.clear();
        shrink(&mut self.pending.own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::change_log::{ReaderId, Target};
    use crate::resp::{Batch, Limits, Parser};

    struct Scene {
        propagation: Propagation,
        reader: ReaderId,
    }

    impl Scene {
        fn new(target: Target) -> Scene {
            let mut propagation = Propagation::default();
            let reader = propagation.log.attach(target);
            Scene { propagation, reader }
        }

        fn finish(&mut self, total: u64, words: &[&[u8]]) {
            self.propagation.finish(total, 3, Args::from_slices(words));
        }

        /// What was propagated since the last time.
        fn taken(&mut self) -> String {
            self.propagation.end_unit(false, None);
            let bytes: Vec<u8> = self.propagation.log.unread(&self.reader).flatten().copied().collect();
            self.propagation.log.advance_to_end(&self.reader);
            String::from_utf8_lossy(&bytes).replace("\r\n", " ").replace("*2 $6 SELECT $1 ", "@")
        }
    }

    #[test]
    fn a_command_is_gathered_if_it_changed_something() {
        let mut scene = Scene::new(Target::File);
        scene.propagation.begin(7);
        scene.finish(7, &[b"get", b"a"]);
        assert!(scene.propagation.is_empty());
        scene.finish(8, &[b"set", b"a", b""]);
        assert_eq!(scene.taken(), "@3 *3 $3 set $1 a $0  ");
        scene.propagation.force(Targets::ALL);
        scene.finish(8, &[b"flushall"]);
        assert_eq!(scene.taken(), "*1 $8 flushall ");
    }

    #[test]
    fn handlers_give_other_forms() {
        let mut scene = Scene::new(Target::File);
        scene.propagation.delete(1, b"gone");
        scene.propagation.replace(&[b"SET", b"k"]);
        scene.finish(1, &[b"incrbyfloat"]);
        assert_eq!(scene.taken(), "@1 *2 $3 DEL $4 gone @3 *2 $3 SET $1 k ");
        scene.propagation.replace(&[b"SET", b"k"]);
        scene.finish(1, &[b"incrbyfloat"]);
        scene.propagation.suppress();
        scene.finish(2, &[b"xclaim"]);
        assert!(scene.propagation.is_empty());
        scene.propagation.set_lazy(true, false);
        scene.propagation.delete(3, b"x");
        assert_eq!(scene.taken(), "*2 $6 UNLINK $1 x ");
    }

    #[test]
    fn nobody_reading_gathers_nothing() {
        let mut propagation = Propagation::default();
        propagation.delete(0, b"x");
        propagation.replace(&[b"SET"]);
        propagation.add(0, &[b"SET"]);
        assert!(propagation.is_empty() && propagation.pending.own.is_empty());
    }

    #[test]
    fn a_command_for_replicas_alone_is_not_for_the_file() {
        for (target, expected) in [(Target::File, ""), (Target::Replicas, "@3 *1 $7 publish ")] {
            let mut scene = Scene::new(target);
            scene.propagation.force(Targets::REPLICAS);
            scene.finish(0, &[b"publish"]);
            assert_eq!(scene.taken(), expected);
            scene.propagation.set_targets(Targets::NONE);
            scene.finish(1, &[b"set", b"a", b"b"]);
            assert!(scene.propagation.is_empty(), "it is for nobody");
        }
    }

    #[test]
    fn a_lone_command_goes_to_the_log_as_it_came() {
        let input = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nvv\r\nother\r\n";
        let mut batch = Batch::new();
        Parser::new().parse(input, &Limits::default(), &mut batch).expect("these are requests");
        let (plain, other) = (batch.args(0, input), batch.args(1, input));
        let mut scene = Scene::new(Target::File);
        scene.propagation.begin(1);
        assert!(!scene.propagation.append_alone(1, 3, plain, None), "it changed nothing");
        assert!(scene.propagation.append_alone(2, 3, plain, None));
        assert!(!scene.propagation.append_alone(2, 3, plain, None), "the change is told");
        assert!(!scene.propagation.append_alone(3, 3, other, None), "it came in another form");
        assert_eq!(scene.taken(), "@3 *3 $3 SET $1 k $2 vv ");
        scene.propagation.replace(&[b"DEL"]);
        assert!(!scene.propagation.append_alone(3, 3, plain, None), "its handler has given another form");
        scene.propagation.finish(3, 3, plain);
        assert!(!scene.propagation.append_alone(4, 3, plain, None), "another one is before it");
        assert_eq!(scene.taken(), "*1 $3 DEL ");
        scene.propagation.set_targets(Targets::REPLICAS);
        assert!(!scene.propagation.append_alone(5, 3, plain, None), "it is for nobody");
        scene.propagation.set_targets(Targets::ALL);
        assert!(scene.propagation.append_alone(6, 3, plain, Some(7)));
        assert_eq!(scene.taken(), "#TS:7 *3 $3 SET $1 k $2 vv ");
    }

    #[test]
    fn a_unit_that_is_put_away_goes_on_as_it_was() {
        let mut scene = Scene::new(Target::File);
        scene.finish(1, &[b"a"]);
        let pending = scene.propagation.set_aside();
        assert!(!scene.propagation.is_on());
        scene.finish(2, &[b"b"]);
        scene.propagation.add(0, &[b"c"]);
        scene.propagation.resume(pending);
        assert_eq!(scene.taken(), "@3 *1 $1 a ");
    }
}
