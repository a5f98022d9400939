//! SQLite in the store's place: the same records behind the same committer, in WAL with `synchronous=FULL`.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use vestibule::component::record::Change;
use vestibule::store::{Durability, Error, Store};

pub(crate) struct Sqlite {
    connection: Connection,
    path: PathBuf,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL")] {
            connection.pragma_update(None, name, value).unwrap();
        }
        connection
            .execute_batch(
                "CREATE TABLE status (user TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID",
            )
            .unwrap();
        Self {
            connection,
            path: path.to_owned(),
        }
    }
}

impl Store for Sqlite {
    fn load(&mut self, _: &mut dyn FnMut(Change)) -> Result<(), Error> {
        Ok(())
    }

    fn apply(&mut self, batch: &[Change], _: Durability) -> Result<(), Error> {
        let write = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            {
                let mut put =
                    transaction.prepare_cached("INSERT OR REPLACE INTO status VALUES (?1, ?2)")?;
                for change in batch {
                    let Change::Status { user, value } = change else {
                        panic!("only statuses are measured");
                    };
                    let record = serde_json::to_vec(value.as_ref().unwrap()).unwrap();
                    put.execute(params![user.as_str(), record])?;
                }
            }
            transaction.commit()
        };
        write().map_err(|error| Error::Unusable {
            path: self.path.clone(),
            reason: io::Error::other(error),
        })
    }
}
