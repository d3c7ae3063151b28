package proxy

import "github.com/go-chi/chi/v5"

// Routes are the routes of the session API.
func (a *API) Routes() chi.Routes { return a.mux }
