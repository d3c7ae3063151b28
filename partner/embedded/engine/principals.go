package engine

import (
	"context"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/mirror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/sqlerror"
	"github.com/mirrorstate/mirrorstate/partner/embedded/storage"
	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// principal creates, changes or removes a role or a user.
func (c *catalogueWriter) principal(st *tsql.Definition) error {
	name := st.Name.Object
	kind := map[string]string{"ROLE": storage.KindRole, "USER": storage.KindUser}[st.Kind]
	exists := c.set.Has(storage.KindRole, name) || c.set.Has(storage.KindUser, name) || fixedRole(name)
	switch {
	case st.Verb == "CREATE" && exists:
		return sqlerror.New(15023, 16, "User, group, or role '%s' already exists in the current database.", name)
	case st.Verb == "CREATE" && st.Kind == "USER":
		return c.createUser(st)
	case st.Verb == "CREATE":
		return c.add(&storage.ObjectRow{Kind: storage.KindRole, Name: name})
	case st.Verb == "DROP" && !c.set.Has(kind, name):
		return sqlerror.New(15151, 16, "Cannot drop the %s '%s', because it does not exist or you do not have permission.", strings.ToLower(st.Kind), name)
	case st.Verb == "DROP":
		return c.dropPrincipal(kind, name)
	case st.Kind == "USER":
		return c.alterUser(st)
	}
	return c.member(st)
}

// fixedRole reports whether the role exists in every database.
func fixedRole(name string) bool {
	return strings.EqualFold(name, "db_owner") || strings.EqualFold(name, "public") || strings.EqualFold(name, "dbo")
}

// createUser runs CREATE USER … FOR LOGIN.
func (c *catalogueWriter) createUser(st *tsql.Definition) error {
	sid, err := c.sidFor(st.Other)
	if err != nil {
		return err
	}
	for _, u := range c.set.Of(storage.KindUser) {
		if u.Detail == sid && sid != "" {
			return sqlerror.New(15063, 16, "The login already has an account under a different user name.")
		}
	}
	return c.add(&storage.ObjectRow{Kind: storage.KindUser, Name: st.Name.Object, Detail: sid})
}

// alterUser runs ALTER USER … WITH LOGIN: it maps the user to that login.
func (c *catalogueWriter) alterUser(st *tsql.Definition) error {
	if !c.set.Has(storage.KindUser, st.Name.Object) {
		return sqlerror.New(15151, 16, "Cannot alter the user '%s', because it does not exist or you do not have permission.", st.Name.Object)
	}
	sid, err := c.sidFor(st.Other)
	if err != nil {
		return err
	}
	return c.add(&storage.ObjectRow{Kind: storage.KindUser, Name: st.Name.Object, Detail: sid})
}

// sidFor returns the SID of a login of this server, as in the catalogue; "" for WITHOUT LOGIN. 15007: no such
// login.
func (c *catalogueWriter) sidFor(login string) (string, error) {
	switch {
	case login == "":
		return "", nil
	case strings.EqualFold(login, mirror.UserName):
		return "", sqlerror.New(15063, 16, "The login already has an account under a different user name.")
	}
	l := loginIn(c.d.Instance.MasterObjects(), login)
	if l == nil {
		return "", sqlerror.New(15007, 16, "'%s' is not a valid login or you do not have permission.", login)
	}
	return l.sid, nil
}

// dropPrincipal removes a user with its memberships, or a role without members.
func (c *catalogueWriter) dropPrincipal(kind, name string) error {
	mine := func(r *storage.ObjectRow) bool { return hasSuffixFold(r.Name, "/"+name) }
	if kind == storage.KindRole {
		for _, m := range c.set.Of(storage.KindMember) {
			if hasPrefixFold(m.Name, name+"/") {
				return sqlerror.New(15144, 16, "The role has members. It must be empty before it can be dropped.")
			}
		}
	}
	if err := c.dropIf(storage.KindMember, mine); err != nil {
		return err
	}
	if err := c.dropIf(storage.KindGrant, func(r *storage.ObjectRow) bool { return hasPrefixFold(r.Name, name+"/") }); err != nil {
		return err
	}
	return c.drop(kind, name)
}

// member runs ALTER ROLE … ADD MEMBER and DROP MEMBER.
func (c *catalogueWriter) member(st *tsql.Definition) error {
	role, name := st.Name.Object, st.Other
	if !c.set.Has(storage.KindRole, role) && !fixedRole(role) {
		return sqlerror.New(15151, 16, "Cannot alter the role '%s', because it does not exist or you do not have permission.", role)
	}
	if !c.set.Has(storage.KindUser, name) && !c.set.Has(storage.KindRole, name) {
		return sqlerror.New(15151, 16, "Cannot %s the principal '%s', because it does not exist or you do not have permission.",
			map[string]string{"ADD MEMBER": "add", "DROP MEMBER": "drop"}[st.Action], name)
	}
	if st.Action == "DROP MEMBER" {
		return c.drop(storage.KindMember, role+"/"+name)
	}
	return c.add(&storage.ObjectRow{Kind: storage.KindMember, Name: role + "/" + name})
}

// grant runs GRANT and REVOKE.
func (b *batch) grant(ctx context.Context, st *tsql.Grant) error {
	if st.Verb == "DENY" {
		return sqlerror.NotSupported("Statement 'DENY'")
	}
	if st.On.Object == "" && serverRights[st.Permissions[0]] {
		return b.grantServer(ctx, st)
	}
	d, err := b.s.databaseFor(st.On)
	if err != nil {
		return err
	}
	if err := b.s.checkControl(d, st.Verb); err != nil {
		return err
	}
	return b.s.writing(ctx, d, func(w *storage.Writer) error {
		c, err := openCatalogue(w, d)
		if err != nil {
			return err
		}
		on := st.On.Object
		switch {
		case !c.set.Has(storage.KindRole, st.To) && !c.set.Has(storage.KindUser, st.To) && !fixedRole(st.To):
			return sqlerror.New(15151, 16, "Cannot find the user '%s', because it does not exist or you do not have permission.", st.To)
		case on != "" && !c.set.Has(storage.KindTable, on) && !c.set.Has(storage.KindProcedure, on) && !c.set.Has(storage.KindFunction, on):
			return sqlerror.New(15151, 16, "Cannot find the object '%s', because it does not exist or you do not have permission.", on)
		}
		for _, permission := range st.Permissions {
			name := st.To + "/" + permission + "/" + on
			if st.Verb == "REVOKE" {
				err = c.drop(storage.KindGrant, name)
			} else {
				err = c.add(&storage.ObjectRow{Kind: storage.KindGrant, Name: name})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
