//! What the HTTP port of a training instance needs of the lessons. Never knows a lesson.

/// Longest order, in bytes.
pub const ORDER_MAX_BYTES: usize = 4096;

/// Steps the loop of the lessons.
pub trait Trainer {
    /// How that loop is, as JSON.
    fn state(&mut self) -> String;

    /// Carries an order out.
    ///
    /// Errors: what is wrong with it, in a sentence.
    fn obey(&mut self, order: &[u8]) -> Result<(), String>;
}

/// A training instance: the lessons, and what a client has to show for an order.
pub struct Training {
    /// It is handed to the page, which no page of another site can read.
    pub token: String,
    pub trainer: Box<dyn Trainer>,
}

impl Training {
    /// Carries an order out, if it is one; gives how the loop of the lessons is then.
    ///
    /// Errors: what is wrong with the order.
    pub(super) fn answer(&mut self, order: Option<Vec<u8>>) -> Result<String, String> {
        if let Some(order) = order {
            self.trainer.obey(&order)?;
        }
        let state = self.trainer.state();
        Ok(format!("{{\"token\":\"{}\",\"state\":{state}}}", self.token))
    }
}
