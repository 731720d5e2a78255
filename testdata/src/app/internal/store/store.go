// Package store keeps users behind a database driver that needs no database.
package store

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// User is one row.
type User struct {
	ID   int64  `db:"id" json:"id"`
	Name string `db:"name" json:"name"`
}

// Users reads the table of users.
type Users struct {
	db *sqlx.DB
}

// Open connects to the built-in driver.
func Open() (*Users, error) {
	db, err := sqlx.Open(driverName, "")
	if err != nil {
		return nil, err
	}
	return &Users{db: db}, nil
}

// List returns the users with a name, or all users.
func (u *Users) List(ctx context.Context, name string) ([]User, error) {
	users := []User{}
	query := u.db.Rebind("SELECT id, name FROM users WHERE name = ?")
	return users, u.db.SelectContext(ctx, &users, query, name)
}

// First returns one user.
func (u *Users) First(name string) (User, error) {
	var user User
	rows, err := u.db.NamedQuery("SELECT id, name FROM users WHERE name = :name", User{Name: name})
	if err != nil {
		return user, err
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.StructScan(&user)
	}
	return user, err
}
