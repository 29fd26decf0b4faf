package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

func (a *app) starlingCommands() *cobra.Command {
	return group("starling", "Show, join and unjoin One Identity Starling",
		a.starlingStatusCommand(), a.remoteAccessCommand(), a.unjoinCommand(), a.joinCommand())
}

type starlingData struct {
	Joined          bool          `json:"joined"`
	ProductInstance string        `json:"product_instance"`
	ProductTIMS     string        `json:"product_tims"`
	RemoteAccess    bool          `json:"remote_access"`
	Products        []productData `json:"products"`
	Warnings        []string      `json:"warnings"`
}

type productData struct {
	Name      string `json:"name"`
	Link      string `json:"link"`
	Activated bool   `json:"activated"`
}

// starlingState reads the state of the join and of remote access.
func (j *job) starlingState(ctx context.Context) (starlingData, error) {
	d := starlingData{Products: []productData{}, Warnings: []string{}}
	join, err := j.client.Starling.JoinStatus(ctx)
	if err != nil {
		return d, err
	}
	configuration, err := j.client.Starling.Configuration.Get(ctx)
	if err != nil {
		return d, err
	}
	d.Joined, d.ProductInstance, d.ProductTIMS = join.Joined, join.ProductInstance, join.ProductTIMS
	d.RemoteAccess = configuration.Body.RemoteAccess.Enabled
	return d, nil
}

func (a *app) starlingStatusCommand() *cobra.Command {
	return a.command(spec{
		use: "status", short: "Show the state of the join and the integrated products",
		long:     "Show whether an appliance is joined to Starling, whether remote access is on, and which products are integrated.",
		examples: []string{"sps --host sps1.example.com starling status", "sps --hosts hosts.txt -o jsonl starling status"},
		data:     starlingData{},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			d, err := j.starlingState(ctx)
			if err != nil {
				return out.Report{}, err
			}
			// If the products cannot be listed, the command shows a warning and the other values.
			list, err := j.client.IntegratedProducts(ctx)
			if err != nil {
				d.Warnings = append(d.Warnings, message(err))
			} else {
				for _, w := range list.Warnings {
					d.Warnings = append(d.Warnings, string(w))
				}
				for _, p := range list.Products {
					d.Products = append(d.Products, productData{p.Name, p.Link, p.Activated})
				}
			}
			return d.report(), nil
		},
	})
}

func (d starlingData) report() out.Report {
	var products []string
	for _, p := range d.Products {
		word := "not activated"
		if p.Activated {
			word = "activated"
		}
		products = append(products, p.Name+" "+word)
	}
	return out.Report{Data: d, Fields: [][2]string{
		{"joined", yesNo(d.Joined)}, {"instance", text.OrDash(d.ProductInstance)}, {"license (TIMS)", text.OrDash(d.ProductTIMS)},
		{"remote access", onOff(d.RemoteAccess)}, {"products", text.OrDash(strings.Join(products, ", "))},
		{"warnings", text.OrDash(strings.Join(d.Warnings, "; "))},
	}}
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func (a *app) remoteAccessCommand() *cobra.Command {
	return a.command(spec{
		use: "remote-access on|off", short: "Switch remote access on or off",
		long: `Switch Safeguard Remote Access on or off. The appliance must be joined to Starling. While
remote access is on, "sps starling unjoin" needs --disable-remote-access or --force.`,
		examples: []string{
			"sps --host sps1.example.com starling remote-access on --message CHG-1234",
			"sps --host sps1.example.com starling remote-access off --dry-run",
		},
		args: cobra.ExactArgs(1), single: true, change: true, commit: true, data: remoteAccessData{},
		valid: cobra.FixedCompletions([]cobra.Completion{"on", "off"}, cobra.ShellCompDirectiveNoFileComp),
		check: func(args []string) error {
			if args[0] != "on" && args[0] != "off" {
				return fmt.Errorf("%q is neither on nor off: give one of these", args[0])
			}
			return nil
		},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			on := j.args[0] == "on"
			differs, err := j.setRemoteAccess(ctx, on)
			if err != nil {
				return out.Report{}, fmt.Errorf("starling remote-access: %w", err)
			}
			var lines []string
			if differs {
				lines = []string{fmt.Sprintf("remote access: %s -> %s", onOff(!on), onOff(on))}
			}
			return j.changed(lines, remoteAccessData{on, differs, j.dryRun}), nil
		},
	})
}

// setRemoteAccess switches remote access on or off. It reports whether remote access was in the
// other state before.
func (j *job) setRemoteAccess(ctx context.Context, on bool) (differs bool, err error) {
	err = j.transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Starling.Configuration.Update(ctx, func(s *sps.StarlingConfiguration) error {
			differs = s.RemoteAccess.Enabled != on
			s.RemoteAccess.Enabled = on
			return nil
		})
	})
	return differs, err
}

type remoteAccessData struct {
	RemoteAccess bool `json:"remote_access"`
	Changed      bool `json:"changed"`
	DryRun       bool `json:"dry_run"`
}

type unjoinData struct {
	Joined       bool     `json:"joined"`
	RemoteAccess bool     `json:"remote_access"`
	Reasons      []string `json:"reasons"`
	DryRun       bool     `json:"dry_run"`
}

func (a *app) unjoinCommand() *cobra.Command {
	var disable, force bool
	return a.command(spec{
		use: "unjoin", short: "Unjoin an appliance from Starling",
		long: `Unjoin an appliance from Starling. An appliance refuses the unjoin if it is not joined or if
remote access is on. The command checks this first. If the appliance would refuse the
unjoin, the command does not send it, and the status is 1. With --force or
--disable-remote-access, remote access does not prevent the unjoin. --dry-run stops after
the check.`,
		examples: []string{
			"sps --host sps1.example.com starling unjoin --dry-run",
			"sps --host sps1.example.com starling unjoin --disable-remote-access --yes",
		},
		single: true, change: true, commit: true, confirm: true, data: unjoinData{},
		flags: func(f *pflag.FlagSet) {
			f.BoolVar(&disable, "disable-remote-access", false, "switch remote access off before the unjoin")
			f.BoolVar(&force, "force", false, "unjoin even if remote access is on")
		},
		check: func([]string) error {
			switch {
			case disable && force:
				return errors.New("--force excludes --disable-remote-access: give one of them")
			case !disable && (a.message != "" || a.lockWait != 0):
				return errors.New("--message and --wait-for-lock need --disable-remote-access: an unjoin alone has no transaction")
			}
			return nil
		},
		ask: func([]string) string { return "unjoin the appliance from Starling?" },
		run: func(ctx context.Context, j *job) (out.Report, error) { return j.unjoin(ctx, disable, force) },
	})
}

// unjoin checks whether an unjoin is possible, and unjoins the appliance.
func (j *job) unjoin(ctx context.Context, disable, force bool) (out.Report, error) {
	check, err := j.client.Starling.CheckUnjoin(ctx)
	if err != nil {
		return out.Report{}, err
	}
	d := unjoinData{Joined: check.Joined, RemoteAccess: check.RemoteAccess, Reasons: []string{}, DryRun: j.dryRun}
	for _, reason := range check.Reasons {
		if errors.Is(reason, sps.StarlingJoinIsInUseByRemoteAccessError) && (disable || force) {
			continue
		}
		d.Reasons = append(d.Reasons, unjoinReason(reason))
	}
	if len(d.Reasons) > 0 {
		words := "the appliance would refuse the unjoin, so it was not tried: " + strings.Join(d.Reasons, "; ")
		return out.Report{No: true, Data: d, Text: words + "\n", Cases: []out.Case{{
			Name: "unjoin", Status: out.Failure, Type: "Refused", Message: words,
		}}}, nil
	}
	if j.dryRun {
		return out.Report{Data: d, Text: "dry run, nothing was done: the appliance would be unjoined\n"}, nil
	}
	switched := false
	if disable {
		if switched, err = j.setRemoteAccess(ctx, false); err != nil {
			return out.Report{Data: d}, fmt.Errorf("starling unjoin --disable-remote-access: %w", err)
		}
		d.RemoteAccess = false
	}
	if force {
		err = j.client.Starling.ForceUnjoin(ctx)
	} else {
		err = j.client.Starling.Unjoin(ctx)
	}
	if err != nil && switched {
		return out.Report{Data: d}, &maybeAppliedError{err: fmt.Errorf("starling unjoin: %w; remote access was already switched off: switch it on again with \"sps starling remote-access on\", or repeat the unjoin", err)}
	}
	if err != nil {
		return out.Report{Data: d}, err
	}
	d.Joined = false
	return out.Report{Data: d, Text: "the appliance is no longer joined to Starling\n"}, nil
}

// unjoinReason returns the text for a reason of a refusal.
func unjoinReason(reason error) string {
	switch {
	case errors.Is(reason, sps.ErrStarlingNotJoined):
		return "the appliance is not joined to Starling"
	case errors.Is(reason, sps.StarlingJoinIsInUseByRemoteAccessError):
		return "remote access is on: " + unjoinAdvice
	}
	return message(reason)
}

func (a *app) joinCommand() *cobra.Command {
	var file string
	var request sps.StarlingJoinRequest
	return a.command(spec{
		use: "join", short: "Join an appliance to Starling",
		long: `Join an appliance to Starling with the credential string that Starling issues. The vendor's
API guide recommends the web interface instead: Basic Settings > Starling Integration >
Start join. Values that you do not give with flags are taken from the appliance.`,
		examples: []string{
			"sps --host sps1.example.com starling join --credential-file credential.txt --yes",
			"sps --host sps1.example.com starling join --credential-file credential.txt --dry-run",
		},
		single: true, change: true, confirm: true, data: starlingData{},
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&file, "credential-file", "", "`file` with the credential string; - reads standard input; required")
			f.StringVar(&request.TokenEndpoint, "token-endpoint", "", "`URL` for Starling tokens, which Starling issues with the credential string")
			f.StringVar(&request.Environment, "environment", "", "`name` of the Starling environment (default "+sps.StarlingProduction+")")
			f.StringVar(&request.ProductInstance, "product-instance", "", "`name` of the appliance in Starling")
			f.StringVar(&request.ProductTIMS, "product-tims", "", "license `number` of the appliance")
		},
		check: func([]string) (err error) {
			request.CredentialString, err = a.readCredential(file)
			return err
		},
		ask: func([]string) string { return "join the appliance to Starling?" },
		run: func(ctx context.Context, j *job) (out.Report, error) {
			d, err := j.starlingState(ctx)
			if err != nil {
				return out.Report{}, err
			}
			if d.Joined {
				return out.Report{Data: d, Text: "the appliance is already joined\n"}, nil
			}
			if j.dryRun {
				return out.Report{Data: d, Text: "dry run, nothing was done: the appliance would be joined\n"}, nil
			}
			if err := j.client.Starling.Join(ctx, request); err != nil {
				return out.Report{}, err
			}
			d, err = j.starlingState(ctx)
			if err != nil { // the join succeeded, and reading its state failed
				return out.Report{Text: "the appliance is joined\n"}, &maybeAppliedError{err: fmt.Errorf("starling join: the appliance is joined, but its state could not be read: %w", err)}
			}
			return d.report(), nil
		},
	})
}

// readCredential reads the credential string from a file. It removes line ends at the end.
func (a *app) readCredential(file string) (sps.Secret, error) {
	var content []byte
	var err error
	switch file {
	case "":
		return sps.Secret{}, errors.New("--credential-file is missing: give a file with the credential string")
	case "-":
		content, err = io.ReadAll(io.LimitReader(a.input, 1<<20))
	default:
		content, err = os.ReadFile(file)
	}
	line := strings.TrimRight(string(content), "\r\n")
	if errors.Is(err, errInterrupted) {
		err = fmt.Errorf("--credential-file: %w", err)
	} else if err != nil {
		err = fmt.Errorf("--credential-file: %w: give a readable file", err)
	} else if line == "" {
		err = fmt.Errorf("--credential-file: %s is empty: it must contain the credential string", file)
	}
	return sps.NewSecretString(line), err
}
