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

// StarlingProduction is the only Starling environment that the guide names.
const StarlingProduction = "prod"

// ProductWarning is the appliance's message, in one line, if it could not create the list
// of integrated products. It is an error value: test the elements of
// [IntegratedProducts].Warnings, or the error of [Client.IntegratedProducts], with
// errors.Is. The set is open.
type ProductWarning string

// The warnings of the guide. The value of each constant is the beginning of the text that
// the appliance sends.
const (
	// StarlingUnavailable means that the appliance is joined to Starling but cannot reach
	// it. Check that the service is available and that the appliance is connected to the
	// Internet.
	StarlingUnavailable ProductWarning = "Information about the integrated Starling products cannot be retrieved"
	// StarlingCredentialsInvalid means that Starling does not accept the appliance's
	// credentials, for example because the appliance was unjoined and restored to an
	// earlier state. Join it again.
	StarlingCredentialsInvalid ProductWarning = "The credentials used for accessing Starling are invalid"
)

// Error returns the whole warning.
func (w ProductWarning) Error() string { return string(w) }

// Is reports whether the warning contains the text of the target.
func (w ProductWarning) Is(target error) bool {
	other, ok := target.(ProductWarning)
	return ok && other != "" && strings.Contains(strings.ToLower(string(w)), strings.ToLower(string(other)))
}

// Starling joins an appliance to One Identity Starling and unjoins it (guide: Managing
// Starling Join; starling/join). The field Configuration has the join information and the
// setting of remote access.
//
// The guide also mentions an "endpoint for the status of the services related to Starling
// Join/Unjoin" but not its path. [Client.IntegratedProducts] is the closest endpoint that
// has a known path.
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

// StarlingConfiguration is the Starling section of the configuration
// (configuration/starling). It switches Safeguard Remote Access (SRA) on and off, in a
// transaction:
//
//	tx.Starling.Configuration.Update(ctx, func(s *sps.StarlingConfiguration) error {
//		s.RemoteAccess.Enabled = true
//		return nil
//	})
//
// Without a join, the appliance refuses remote access with
// [RemoteAccessDependsOnStarlingJoinError]. The title of the guide's page, "Enabling …
// Remote Access without Starling Join", is misleading: a join is required. The curl
// command on that page lacks the method PUT and the body.
type StarlingConfiguration struct {
	// JoinInfo describes the join, or is nil if the appliance is not joined. It is
	// read-only: an update that changes it returns an error that matches
	// [ErrInvalidInput] and [StarlingJoinInfoIsReadOnlyError], and sends no write. Use
	// [Starling.Join] and [Starling.Unjoin].
	JoinInfo *StarlingJoinInfo `json:"join_info"`
	// RemoteAccess is the setting of Safeguard Remote Access.
	RemoteAccess RemoteAccess `json:"remote_access"`
}

// RemoteAccess is the setting of Safeguard Remote Access. If the appliance has further
// members, an update keeps them.
type RemoteAccess struct {
	// Enabled is true if remote access is switched on.
	Enabled bool `json:"enabled"`
}

// StarlingJoinInfo describes the join of an appliance to Starling.
type StarlingJoinInfo struct {
	// Environment is the Starling environment, such as [StarlingProduction].
	Environment string `json:"environment"`
	// ProductInstance is the name of the appliance in Starling, such as
	// "starling-joiner-…".
	ProductInstance string `json:"product_instance"`
	// ProductTIMS is the license number of the appliance.
	ProductTIMS string `json:"product_tims"`
}

// StarlingJoin says whether an appliance is joined to Starling, and under which name.
type StarlingJoin struct {
	// Joined is true if the appliance is joined.
	Joined bool
	// ProductInstance is the name of the appliance in Starling. It is set even before the
	// join.
	ProductInstance string
	// ProductName is the name of the product, such as "Safeguard".
	ProductName string
	// ProductTIMS is the license number of the appliance.
	ProductTIMS string
}

// StarlingJoinPage is the response of the appliance to a browser that requests the state
// of the join. Programs get a [StarlingJoin] instead.
type StarlingJoinPage struct {
	// StatusCode is the HTTP status, 200 to 399.
	StatusCode int
	// Location is the target of a redirect, or "". The client does not follow it.
	Location string
	// ContentType is the media type of the body, without parameters.
	ContentType string
	// Body is the body, at most 32 MiB.
	Body []byte
}

// StarlingJoinRequest is a request to join an appliance to Starling. If a field is empty,
// Join uses the value that the appliance reports about its join.
type StarlingJoinRequest struct {
	// CredentialString is the credential string that Starling issues for the join. It is
	// required.
	CredentialString Secret
	// TokenEndpoint is the URL for Starling tokens. Starling issues it with the
	// credential string.
	TokenEndpoint string
	// Environment is the Starling environment. "" means [StarlingProduction].
	Environment string
	// ProductInstance, ProductName and ProductTIMS have the meaning of the same fields of
	// a [StarlingJoin].
	ProductInstance, ProductName, ProductTIMS string
}

// StarlingUnjoinCheck says whether the appliance would refuse [Starling.Unjoin].
type StarlingUnjoinCheck struct {
	// Joined is true if the appliance is joined.
	Joined bool
	// RemoteAccess is true if remote access is enabled.
	RemoteAccess bool
	// Reasons are the reasons for a refusal; test for them with errors.Is.
	// [StarlingJoinIsInUseByRemoteAccessError] means that remote access is enabled;
	// [Starling.ForceUnjoin] works in that case. [ErrStarlingNotJoined] means that the
	// appliance is not joined; the guide does not document how the appliance responds to
	// an unjoin in that case.
	Reasons []error
}

// Refused reports whether the appliance would refuse [Starling.Unjoin].
func (c *StarlingUnjoinCheck) Refused() bool { return len(c.Reasons) > 0 }

// IntegratedProducts are the products that are integrated with the appliance (guide:
// Listing integrated products).
type IntegratedProducts struct {
	// Products are the listed products: products of Starling, or Safeguard for Privileged
	// Passwords. The list is empty if the appliance lists no product.
	Products []IntegratedProduct
	// Warnings say why the list is incomplete. It is nil if the list is complete.
	Warnings []ProductWarning
}

// Warned reports whether the appliance gave a warning, such as
// [StarlingUnavailable].
func (p *IntegratedProducts) Warned(warning ProductWarning) bool {
	return slices.ContainsFunc(p.Warnings, func(w ProductWarning) bool { return w.Is(warning) })
}

// IntegratedProduct is one of the [IntegratedProducts].
type IntegratedProduct struct {
	// Name is the name of the product, such as "Defender".
	Name string
	// Link is the URL of the product, or "" if it is not integrated.
	Link string
	// Activated is true if the product is integrated.
	Activated bool
}

// JoinStatusOption is an option of [Starling.JoinStatus] and [Starling.JoinPage]:
// [WithProductTIMS].
type JoinStatusOption func(*joinStatusOptions)

type joinStatusOptions struct{ query url.Values }

// WithProductTIMS sets a license number, such as "222-333-444". Without it, the appliance
// uses its own license number.
func WithProductTIMS(number string) JoinStatusOption {
	return func(o *joinStatusOptions) { o.query.Set("product_tims", number) }
}

func joinQuery(options []JoinStatusOption) url.Values {
	o := &joinStatusOptions{url.Values{}}
	for option := range given(options) {
		option(o)
	}
	return o.query
}

// JoinStatus reads whether the appliance is joined to Starling, and under which name (GET
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
		return nil, a.unusable("the answer lacks the body")
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
		return nil, a.unusable("the answer does not say whether the appliance is joined")
	}
	return join, nil
}

// JoinPage requests the state of the join with the header "Accept: text/html", as a
// browser does (GET /api/starling/join). The guide does not say whether the response is a
// page or a redirect to Starling.
func (s Starling) JoinPage(ctx context.Context, options ...JoinStatusOption) (*StarlingJoinPage, error) {
	a, err := s.client.page(ctx, starlingJoinPath, joinQuery(options))
	if err != nil {
		return nil, err
	}
	return &StarlingJoinPage{StatusCode: a.status, Location: a.exchange.location, ContentType: contentType(a.header), Body: a.body}, nil
}

// Join joins the appliance to Starling (POST /api/starling/join). The guide recommends
// the web interface for this: Basic Settings > Starling Integration > Start join. Join
// first reads the current state of the join, replaces the members that request sets, and
// sends the result. The guide does not document the response to the POST; call
// [Starling.JoinStatus] to see the result.
//
// Join is not possible in a transaction. It waits until an open transaction of this
// client has ended. Inside the function of a transaction, it returns [ErrNested] and
// [OpenTransactionError]. If somebody else has a transaction open, the appliance may
// return OpenTransactionError. If the request has no credential string, or if neither the
// request nor the current state of the join has a product instance, Join returns
// [ErrInvalidInput] and the type that the appliance uses, [MissingCredentialStringError]
// or [MissingProductInstanceError].
//
// The client does not repeat a request that the appliance may have received. If the
// response is lost, the client polls the state of the join for up to [Timeouts].Outcome,
// or for half of [Timeouts].Close if ctx has ended. Join returns nil once the appliance
// is joined. Otherwise it returns [ErrOutcomeUnknown] with [OutcomeUnknownDetails],
// because the appliance may still join. If the appliance was already joined, or did not
// report its state, Join does not poll and returns ErrOutcomeUnknown at once.
func (s Starling) Join(ctx context.Context, request StarlingJoinRequest) error {
	fail := func(err error) error { return s.client.refusal("POST", starlingJoinPath, err) }
	if request.CredentialString.IsZero() {
		return fail(breach(MissingCredentialStringError, "credential_string", "the credential string is missing"))
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

// lookFor returns a probe that checks whether the appliance is in the given state: joined
// or not joined.
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

// over replaces members of the join state that the appliance reported with the members of
// the request.
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

// Unjoin removes the appliance from Starling (DELETE /api/starling/join). While remote
// access is enabled, the appliance refuses this with
// [StarlingJoinIsInUseByRemoteAccessError]: disable remote access in a transaction first,
// or use [Starling.ForceUnjoin]. [Starling.CheckUnjoin] checks this without sending the
// request. Unjoin waits for transactions and handles a lost response like
// [Starling.Join]. After a lost response, it returns nil once the appliance is not
// joined, and [ErrOutcomeUnknown] otherwise.
func (s Starling) Unjoin(ctx context.Context) error { return s.unjoin(ctx, nil) }

// ForceUnjoin removes the appliance from Starling even while remote access is enabled
// (DELETE /api/starling/join?force=true). Otherwise it works like [Starling.Unjoin].
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

// CheckUnjoin checks whether the appliance would refuse [Starling.Unjoin], and why. It
// reads the state of the join and of remote access.
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

// changedStarling refuses a change of join_info, because the appliance does not accept
// it.
func changedStarling(was, s *StarlingConfiguration) error {
	if was == nil || (s.JoinInfo == nil) == (was.JoinInfo == nil) && (s.JoinInfo == nil || *s.JoinInfo == *was.JoinInfo) {
		return nil
	}
	return breach(StarlingJoinInfoIsReadOnlyError, "join_info", "join_info is read-only: use Client.Starling to join and unjoin")
}

// IntegratedProducts lists the products that are integrated with the appliance (GET
// /api/integrated_products). If the appliance refuses because of a [ProductWarning],
// errors.Is finds that warning in the error.
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
			return nil, a.unusable("an entry of the list of products is not an object")
		}
		name, ok := wire.Text(wire.Find(members, "name"))
		if !ok {
			return nil, a.unusable("an entry of the list of products lacks its name")
		}
		link, _ := wire.Text(wire.Find(members, "link"))
		activated := string(bytes.TrimSpace(wire.Find(members, "activated"))) == "true"
		list.Products = append(list.Products, IntegratedProduct{name, link, activated})
	}
	return list, nil
}

// productWarnings returns the warnings of a response.
func productWarnings(a *answer) []ProductWarning {
	var warnings []ProductWarning
	seen := map[ProductWarning]bool{}
	for _, text := range warningTexts(a) {
		if w := newProductWarning(text); !seen[w] {
			seen[w] = true
			warnings = append(warnings, w)
		}
	}
	return warnings
}

// productWarningOf returns the warning in a refusal, or nil.
func productWarningOf(e *Error) error {
	for _, text := range append([]string{e.said()}, texts(e.details())...) {
		if w := newProductWarning(text); w.Is(StarlingUnavailable) || w.Is(StarlingCredentialsInvalid) {
			return w
		}
	}
	return nil
}

func newProductWarning(text string) ProductWarning { return ProductWarning(oneLine(text, 1000)) }
