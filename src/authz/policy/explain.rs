//! Why a policy answers as it does.

use std::fmt;

use super::{Decision, PolicyOutcome};

/// How a policy and its parts answer, for the operator. `Display` prints a line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyExplanation {
    what: String,
    decision: Option<Decision>,
    parts: Vec<PolicyExplanation>,
}

impl PolicyExplanation {
    /// What a policy is and how it answers.
    #[must_use]
    pub fn new(what: String, outcome: &PolicyOutcome) -> Self {
        let decision = match outcome {
            PolicyOutcome::Ready(decision) => Some(*decision),
            PolicyOutcome::Pending(_) => None,
        };
        Self { what, decision, parts: Vec::new() }
    }

    /// Adds what it is made of.
    #[must_use]
    pub fn with_parts(mut self, parts: Vec<Self>) -> Self {
        self.parts = parts;
        self
    }

    /// The answer; `None` if it has to be waited for.
    #[must_use]
    pub fn decision(&self) -> Option<Decision> {
        self.decision
    }

    /// What the policy is made of.
    #[must_use]
    pub fn parts(&self) -> &[Self] {
        &self.parts
    }

    fn lines(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let answer = match self.decision {
            Some(Decision::Allow) => "allows",
            Some(Decision::Deny) => "denies",
            Some(Decision::Abstain) => "abstains",
            None => "has to ask",
        };
        writeln!(f, "{:indent$}{}: {answer}", "", self.what, indent = 2 * depth)?;
        self.parts.iter().try_for_each(|part| part.lines(f, depth + 1))
    }
}

impl fmt::Display for PolicyExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines(f, 0)
    }
}
