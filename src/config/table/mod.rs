//! The table of directives, in groups. Never a behaviour: entries only.

use super::directive::Directive;
use super::fields::Config;

/// Directives that belong together.
pub struct Group {
    /// Heading in `redis.conf.example`.
    pub title: &'static str,
    /// The entries.
    pub directives: &'static [Directive],
}

/// All directives, in groups, in the order of `redis.conf.example`.
pub static GROUPS: &[Group] = &[];

/// All directives.
pub fn directives() -> impl Iterator<Item = &'static Directive> {
    GROUPS.iter().flat_map(|group| group.directives)
}

/// The directive of a name or old name, whatever the case. O(number of directives).
pub fn find(name: &[u8]) -> Option<&'static Directive> {
    directives().find(|directive| directive.is_named(name))
}

impl Default for Config {
    fn default() -> Config {
        let mut config = Config::blank();
        for directive in directives() {
            let arguments: Vec<&[u8]> = directive
                .default
                .as_bytes()
                .split(|byte| *byte == b' ')
                .collect();
            let stored = directive.store(&mut config, &arguments);
            debug_assert!(stored.is_ok(), "default of {}: {stored:?}", directive.name);
        }
        config
    }
}
