//! The items of the data set and of the table in the database.

use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Item {
    pub id: i32,
    name: String,
    category: String,
    price: i32,
    quantity: i32,
    active: bool,
    tags: Vec<String>,
    rating: Rating,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Rating {
    score: i32,
    count: i32,
}

/// An item with its price times its quantity times the factor of the request.
#[derive(Serialize)]
pub struct Priced<'i> {
    #[serde(flatten)]
    item: &'i Item,
    total: i64,
}

impl Item {
    pub fn priced(&self, factor: i64) -> Priced<'_> {
        Priced {
            item: self,
            total: i64::from(self.price) * i64::from(self.quantity) * factor,
        }
    }

    /// Reads the columns of the table, in their order.
    ///
    /// # Errors
    ///
    /// If the row has other columns.
    pub fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let tags: serde_json::Value = row.try_get(6)?;
        Ok(Self {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            category: row.try_get(2)?,
            price: row.try_get(3)?,
            quantity: row.try_get(4)?,
            active: row.try_get(5)?,
            // The table holds arrays of strings.
            tags: serde_json::from_value(tags).unwrap_or_default(),
            rating: Rating {
                score: row.try_get(7)?,
                count: row.try_get(8)?,
            },
        })
    }
}

/// An item that a client adds.
#[derive(Deserialize)]
pub struct NewItem {
    pub id: i32,
    #[serde(flatten)]
    pub change: Change,
}

/// The fields of an item that a client may set.
#[derive(Deserialize)]
pub struct Change {
    pub name: String,
    pub category: Option<String>,
    pub price: i32,
    pub quantity: i32,
}
