package sps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-sps/sps/internal/wire"
)

var (
	starlingConfiguration  = spec[StarlingConfiguration]{describe("configuration/starling")}.checked(CheckChange(changedStarling))
	starlingJoinPath       = mustPath("starling/join")
	integratedProductsPath = mustPath("integrated_products")
)

// StarlingProduction is the one environment of Starling that the guide names.
const StarlingProduction = "prod"

// ProductWarning is what an appliance says about its list of integrated products
// where it could not make it, in one line. It is an error value: errors.Is tells the
// warnings of the guide, both in [IntegratedProducts].Warnings and in the error where
// the appliance refused. The set is open.
type ProductWarning string

// The warnings of the guide, by how they begin.
const (
	// StarlingUnavailable: the appliance is joined to Starling and cannot reach it.
	// Look whether the service is available, and whether the appliance is connected
	// to the Internet.
	StarlingUnavailable ProductWarning = "Information about the integrated Starling products cannot be retrieved"
	// StarlingCredentialsInvalid: Starling does not take the appliance's
	// credentials, because it was unjoined and restored to an earlier state, say.
	// Join it again.
	StarlingCredentialsInvalid ProductWarning = "The credentials used for accessing Starling are invalid"
)

// Error returns the whole warning.
func (w ProductWarning) Error() string { return string(w) }

// Is reports whether the warning has the text of the other one in it.
func (w ProductWarning) Is(target error) bool {
	other, ok := target.(ProductWarning)
	return ok && other != "" && strings.Contains(strings.ToLower(string(w)), strings.ToLower(string(other)))
}

// Starling joins an appliance to One Identity Starling and takes it out (guide:
// Managing Starling Join; starling/join). Whether it is joined, and remote access,
// also stand in its Configuration.
//
// An "endpoint for the status of the services related to Starling Join/Unjoin" that
// the guide mentions is not among these: it does not say where that is.
// [Client.IntegratedProducts] is the nearest.
type Starling struct {
	// Configuration reads configuration/starling.
	Configuration Singleton[StarlingConfiguration]

	client *Client
}

func newStarling(c *Client) Starling { return Starling{starlingConfiguration.singleton(c), c} }

// StarlingTx writes the configuration of [Starling].
type StarlingTx struct {
	// Configuration writes configuration/starling.
	Configuration SingletonTx[StarlingConfiguration]
}

// StarlingConfiguration is what the configuration says about Starling
// (configuration/starling). Remote access (SRA) is switched on and off here, in a
// transaction:
//
//	tx.Starling.Configuration.Update(ctx, func(s *sps.StarlingConfiguration) error {
//		s.RemoteAccess.Enabled = true
//		return nil
//	})
//
// Without a join the appliance refuses that with
// [RemoteAccessDependsOnStarlingJoinError]. The guide has this page under the title
// "Enabling … Remote Access without Starling Join", although it needs one, and its
// curl line for it lacks the method PUT and the body.
type StarlingConfiguration struct {
	// JoinInfo is what the appliance is joined with, nil where it is not joined. It
	// is read-only: an update that changes it is [ErrInvalidInput] and
	// [StarlingJoinInfoIsReadOnlyError], and nothing is sent. Use [Starling.Join] and [Starling.Unjoin].
	JoinInfo *StarlingJoinInfo `json:"join_info"`
	// RemoteAccess is Safeguard Remote Access.
	RemoteAccess RemoteAccess `json:"remote_access"`
}

// RemoteAccess is Safeguard Remote Access. An update leaves whatever else the
// appliance has of it as it is.
type RemoteAccess struct {
	// Enabled tells whether it is switched on.
	Enabled bool `json:"enabled"`
}

// StarlingJoinInfo is what an appliance is joined to Starling with.
type StarlingJoinInfo struct {
	// Environment is that of Starling, [StarlingProduction].
	Environment string `json:"environment"`
	// ProductInstance names the appliance, "starling-joiner-…".
	ProductInstance string `json:"product_instance"`
	// ProductTIMS is its license number.
	ProductTIMS string `json:"product_tims"`
}

// StarlingJoin is the state of an appliance's join.
type StarlingJoin struct {
	// Joined tells whether it is joined.
	Joined bool
	// ProductInstance names the appliance, also before it is joined.
	ProductInstance string
	// ProductName is the name of the product, "Safeguard".
	ProductName string
	// ProductTIMS is its license number.
	ProductTIMS string
}

// StarlingJoinPage is what a browser gets in place of a [StarlingJoin].
type StarlingJoinPage struct {
	// StatusCode is the HTTP status, 200 to 399.
	StatusCode int
	// Location is where a redirect leads, "" for none. It is not followed.
	Location string
	// ContentType is that of the body, without parameters.
	ContentType string
	// Body is the body, at most 32 MiB.
	Body []byte
}

// StarlingJoinRequest is what joins an appliance. Members that are empty are taken
// from the appliance's own answer about its join.
type StarlingJoinRequest struct {
	// CredentialString is what Starling gives for the join. It is required.
	CredentialString Secret
	// TokenEndpoint is the URL of Starling's tokens, which comes with it.
	TokenEndpoint string
	// Environment is that of Starling; "" is [StarlingProduction].
	Environment string
	// ProductInstance, ProductName and ProductTIMS are those of a [StarlingJoin].
	ProductInstance, ProductName, ProductTIMS string
}

// StarlingUnjoinCheck tells whether [Starling.Unjoin] would be refused.
type StarlingUnjoinCheck struct {
	// Joined tells whether the appliance is joined.
	Joined bool
	// RemoteAccess tells whether remote access is enabled.
	RemoteAccess bool
	// Reasons are what speaks against it, in words and for errors.Is:
	// [StarlingJoinIsInUseByRemoteAccessError], which [Starling.ForceUnjoin] does not
	// mind, or [ErrStarlingNotJoined], where there is nothing to unjoin; what the appliance
	// answers then is not documented.
	Reasons []error
}

// Refused reports whether there is a reason.
func (c *StarlingUnjoinCheck) Refused() bool { return len(c.Reasons) > 0 }

// IntegratedProducts are the products that an appliance is integrated with
// (guide: Listing integrated products).
type IntegratedProducts struct {
	// Products are those of Starling, or Safeguard for Privileged Passwords; empty
	// where there are none.
	Products []IntegratedProduct
	// Warnings say why the list is not complete, nil where it is.
	Warnings []ProductWarning
}

// Warned reports whether the appliance gave a warning, such as
// [StarlingUnavailable].
func (p *IntegratedProducts) Warned(warning ProductWarning) bool {
	return slices.ContainsFunc(p.Warnings, func(w ProductWarning) bool { return w.Is(warning) })
}

// IntegratedProduct is one of the [IntegratedProducts].
type IntegratedProduct struct {
	// Name is the product's name, "Defender".
	Name string
	// Link is its URL, "" where it is not integrated.
	Link string
	// Activated tells whether it is integrated.
	Activated bool
}

// JoinStatusOption refines [Starling.JoinStatus] and [Starling.JoinPage].
type JoinStatusOption func(*joinStatusOptions)

type joinStatusOptions struct{ query url.Values }

// WithProductTIMS asks for the join with another license number than the
// appliance's, such as "222-333-444".
func WithProductTIMS(number string) JoinStatusOption {
	return func(o *joinStatusOptions) { o.query.Set("product_tims", number) }
}

func joinQuery(options []JoinStatusOption) url.Values {
	o := &joinStatusOptions{url.Values{}}
	for _, option := range options {
		if option != nil {
			option(o)
		}
	}
	return o.query
}

// JoinStatus tells whether the appliance is joined, and with what (GET
// /api/starling/join).
func (s Starling) JoinStatus(ctx context.Context, options ...JoinStatusOption) (*StarlingJoin, error) {
	a, err := s.client.read(ctx, starlingJoinPath, joinQuery(options))
	if err != nil {
		return nil, err
	}
	return newStarlingJoin(a)
}

func newStarlingJoin(a *answer) (*StarlingJoin, error) {
	if wire.Kind(a.Body) != wire.Object {
		return nil, a.unusable("it lacks the body")
	}
	text := func(name string) string {
		value, _ := wire.Text(member(a.Body, name))
		return value
	}
	join := &StarlingJoin{
		ProductInstance: text("product_instance"), ProductName: text("product_name"), ProductTIMS: text("product_tims"),
	}
	var ok bool
	if join.Joined, ok = joinedOf(member(a.Body, "joined")); !ok {
		return nil, a.unusable("it does not say whether the appliance is joined")
	}
	return join, nil
}

// JoinPage asks for the join as a browser does, with "Accept: text/html" (GET
// /api/starling/join). The guide does not say what comes then: a page, or a redirect
// to Starling.
func (s Starling) JoinPage(ctx context.Context, options ...JoinStatusOption) (*StarlingJoinPage, error) {
	a, err := s.client.page(ctx, starlingJoinPath, joinQuery(options))
	if err != nil {
		return nil, err
	}
	return &StarlingJoinPage{StatusCode: a.status, Location: a.exchange.location, ContentType: contentType(a.header), Body: a.body}, nil
}

// Join joins the appliance to Starling (POST /api/starling/join). The guide advises
// to use the web interface for it: Basic Settings > Starling Integration > Start
// join. The request is the appliance's own answer about its join, which is read
// before, with what is given laid over it. What the appliance answers is not known;
// [Starling.JoinStatus] tells what became of it.
//
// It cannot be done in a transaction: it waits for one that this client has open,
// and inside one it is [ErrNested] and [OpenTransactionError], as the appliance would say.
// One of somebody else's may be OpenTransactionError. Without a credential string or a product instance it is
// [ErrInvalidInput], and [MissingCredentialStringError] or
// [MissingProductInstanceError] too, as the appliance would say.
//
// It is never sent twice. Where the answer is lost the appliance is asked whether it is
// joined, for up to [Timeouts].Outcome, and after the end of ctx for half of
// [Timeouts].Close. It returns nil once the appliance is joined. Otherwise it is
// [ErrOutcomeUnknown] with [OutcomeUnknownDetails], because the appliance may join yet;
// so it is at once where it was joined before, or did not say.
func (s Starling) Join(ctx context.Context, request StarlingJoinRequest) error {
	fail := func(err error) error { return s.client.refusal("POST", starlingJoinPath, err) }
	if request.CredentialString.IsZero() {
		return fail(breach(MissingCredentialStringError, "credential_string", "it needs the credential string"))
	}
	release, err := s.client.alone(ctx, "POST "+starlingJoinPath.Text)
	if err != nil {
		return err
	}
	defer release()
	a, err := s.client.read(ctx, starlingJoinPath, nil)
	if err != nil {
		return err
	}
	body, err := request.over(a.Body)
	if err != nil {
		return fail(err)
	}
	w := witness{method: "Starling.JoinStatus"}
	if before, known := joinedOf(member(a.Body, "joined")); known && !before {
		w.look = s.lookFor(true)
	}
	return s.client.act(ctx, starlingJoinPath, body, nil, w, request.CredentialString)
}

// lookFor looks whether the appliance is joined, or is not.
func (s Starling) lookFor(joined bool) probe {
	return func(ctx context.Context) (seen bool, state string, err error) {
		now, err := s.JoinStatus(ctx)
		switch {
		case err != nil:
			return false, "", err
		case now.Joined:
			return joined, "joined", nil
		}
		return !joined, "not joined", nil
	}
}

// over lays the request over the appliance's own answer.
func (r StarlingJoinRequest) over(body []byte) ([]byte, error) {
	members := []wire.Member{}
	if wire.Kind(body) == wire.Object {
		var err error
		if members, err = wire.Members(body); err != nil {
			return nil, err
		}
	}
	environment := r.Environment
	if environment == "" {
		environment = StarlingProduction
	}
	for _, m := range []struct {
		name  string
		value any
		given bool
	}{
		{"product_instance", r.ProductInstance, r.ProductInstance != ""},
		{"product_name", r.ProductName, r.ProductName != ""},
		{"product_tims", r.ProductTIMS, r.ProductTIMS != ""},
		{"environment", environment, true},
		{"token_endpoint", r.TokenEndpoint, r.TokenEndpoint != ""},
		{"credential_string", r.CredentialString, true},
	} {
		if !m.given {
			continue
		}
		value, err := codec.Marshal(m.value)
		if err != nil {
			return nil, fmt.Errorf("%w: %s cannot be encoded: %w", ErrInvalidInput, m.name, err)
		}
		members = append(slices.DeleteFunc(members, func(old wire.Member) bool { return old.Name == m.name }), wire.Member{Name: m.name, Value: value})
	}
	if instance, _ := wire.Text(wire.Find(members, "product_instance")); instance == "" {
		return nil, breach(MissingProductInstanceError, "product_instance", "neither the request nor the appliance names a product instance")
	}
	return wire.BareReferences(wire.Join(members))
}

// Unjoin takes the appliance out of Starling (DELETE /api/starling/join). While
// remote access is enabled the appliance refuses it with
// [StarlingJoinIsInUseByRemoteAccessError]: disable it in a transaction before, or
// use [Starling.ForceUnjoin]. [Starling.CheckUnjoin] tells without trying. It takes
// turns with transactions, and asks where the answer is lost, like [Starling.Join]: it
// returns nil once the appliance is not joined, and [ErrOutcomeUnknown] otherwise.
func (s Starling) Unjoin(ctx context.Context) error { return s.unjoin(ctx, nil) }

// ForceUnjoin is [Starling.Unjoin] also while remote access is enabled (DELETE
// /api/starling/join?force=true).
func (s Starling) ForceUnjoin(ctx context.Context) error {
	return s.unjoin(ctx, url.Values{"force": {"true"}})
}

func (s Starling) unjoin(ctx context.Context, query url.Values) error {
	release, err := s.client.alone(ctx, "DELETE "+starlingJoinPath.Text)
	if err != nil {
		return err
	}
	defer release()
	return s.client.remove(ctx, starlingJoinPath, query, witness{"Starling.JoinStatus", s.lookFor(false)})
}

// CheckUnjoin tells whether [Starling.Unjoin] would be refused, and why, without
// trying it: it reads the state of the join and whether remote access is enabled.
func (s Starling) CheckUnjoin(ctx context.Context) (*StarlingUnjoinCheck, error) {
	join, err := s.JoinStatus(ctx)
	if err != nil {
		return nil, err
	}
	configuration, err := s.Configuration.Get(ctx)
	if err != nil {
		return nil, err
	}
	check := &StarlingUnjoinCheck{Joined: join.Joined, RemoteAccess: configuration.Body.RemoteAccess.Enabled}
	if !check.Joined {
		check.Reasons = append(check.Reasons, ErrStarlingNotJoined)
	}
	if check.RemoteAccess {
		check.Reasons = append(check.Reasons, fmt.Errorf("remote access is enabled: %w", StarlingJoinIsInUseByRemoteAccessError))
	}
	return check, nil
}

// changedStarling refuses what the appliance would: join_info is read-only.
func changedStarling(was, s *StarlingConfiguration) error {
	if was == nil || (s.JoinInfo == nil) == (was.JoinInfo == nil) && (s.JoinInfo == nil || *s.JoinInfo == *was.JoinInfo) {
		return nil
	}
	return breach(StarlingJoinInfoIsReadOnlyError, "join_info", "join_info is read-only: use Client.Starling to join and unjoin")
}

// IntegratedProducts lists the products that the appliance is integrated with (GET
// /api/integrated_products). Where the appliance refuses because of one of the two
// warnings, the error is that [ProductWarning] too.
func (c *Client) IntegratedProducts(ctx context.Context) (*IntegratedProducts, error) {
	a, err := c.read(ctx, integratedProductsPath, nil)
	if err != nil {
		var refused *Error
		if errors.As(err, &refused) && refused.Detail == nil {
			refused.Detail = productWarningOf(refused)
		}
		return nil, err
	}
	list := &IntegratedProducts{Warnings: productWarnings(a)}
	if a.Items == nil && len(list.Warnings) > 0 {
		return list, nil
	}
	items, err := a.list()
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		members, err := wire.Members(item)
		if err != nil {
			return nil, a.unusable("a product is no object")
		}
		name, ok := wire.Text(wire.Find(members, "name"))
		if !ok {
			return nil, a.unusable("a product lacks its name")
		}
		link, _ := wire.Text(wire.Find(members, "link"))
		activated := string(bytes.TrimSpace(wire.Find(members, "activated"))) == "true"
		list.Products = append(list.Products, IntegratedProduct{name, link, activated})
	}
	return list, nil
}
