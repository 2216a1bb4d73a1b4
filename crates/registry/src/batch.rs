// SPDX-License-Identifier: Apache-2.0
//! Statements over many rows at once.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// Most rows in one statement.
pub(crate) const MAX_ROWS: usize = 128;

/// One statement in a form for 1, 2, 4 ... [`MAX_ROWS`] rows, so that few are
/// prepared. A batch in between repeats its first row.
pub(crate) struct Statement {
    forms: Vec<Arc<str>>,
}

impl Statement {
    /// Puts rows of `columns` parameters each between `head` and `tail`.
    pub(crate) fn new(head: &str, columns: usize, tail: &str) -> Self {
        let form = |rows: usize| {
            let row = |at: usize| {
                let parameters: Vec<_> =
                    (1..=columns).map(|column| format!("${}", at * columns + column)).collect();
                match columns {
                    1 if !head.ends_with("VALUES ") => parameters.join(", "),
                    _ => format!("({})", parameters.join(", ")),
                }
            };
            let rows: Vec<_> = (0..rows).map(row).collect();
            format!("{head}{}{tail}", rows.join(", ")).into()
        };
        Self { forms: (0..=MAX_ROWS.ilog2()).map(|power| form(1 << power)).collect() }
    }

    /// The form for a batch, 1 to [`MAX_ROWS`] long, and the batch as long as
    /// the form wants it.
    pub(crate) fn of<'b, T>(&self, batch: &'b [T]) -> (SqlStr, impl Iterator<Item = &'b T>) {
        let len = batch.len().next_power_of_two();
        let sql = AssertSqlSafe(Arc::clone(&self.forms[len.ilog2() as usize])).into_sql_str();
        let missing = len - batch.len();
        (sql, batch.iter().chain(batch.iter().take(1).cycle().take(missing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_a_batch_up_with_its_first_row() {
        let statement = Statement::new("INSERT INTO t VALUES ", 2, " ON CONFLICT DO NOTHING");
        let (sql, rows) = statement.of(&[1, 2, 3]);
        assert_eq!(
            sql.as_str(),
            "INSERT INTO t VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) ON CONFLICT DO NOTHING"
        );
        assert_eq!(rows.copied().collect::<Vec<_>>(), [1, 2, 3, 1]);
    }

    #[test]
    fn has_a_form_for_every_length() {
        let statement = Statement::new("SELECT 1 WHERE x IN (", 1, ")");
        for len in 1..=MAX_ROWS {
            let rows = vec![0; len];
            let (sql, rows) = statement.of(&rows);
            assert_eq!(sql.as_str().matches('$').count(), rows.count());
        }
    }
}
