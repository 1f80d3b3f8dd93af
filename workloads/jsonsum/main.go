// Command jsonsum reads a stream of JSON orders and prints their totals as JSON.
//
//	jsonsum [-orders N]        totals of N generated orders, the same in every run
//	jsonsum -file PATH         totals of the orders in PATH ("-" is standard input)
//
// Generated orders are encoded to JSON and decoded again, so both ways do the same work.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

type order struct {
	ID       int      `json:"id"`
	Customer string   `json:"customer"`
	Region   string   `json:"region"`
	Lines    []line   `json:"lines"`
	Tags     []string `json:"tags,omitempty"`
}

type line struct {
	Product string  `json:"product"`
	Count   int     `json:"count"`
	Price   float64 `json:"price"`
}

type summary struct {
	Orders    int            `json:"orders"`
	Revenue   float64        `json:"revenue"`
	Regions   []total        `json:"regions"`
	Products  []total        `json:"products"`
	Customers []total        `json:"best_customers"`
	Tags      map[string]int `json:"tags"`
}

type total struct {
	Name    string  `json:"name"`
	Orders  int     `json:"orders"`
	Revenue float64 `json:"revenue"`
}

const (
	progressEvery = 10_000
	bestCustomers = 10
)

func main() {
	orders := flag.Int("orders", 60_000, "how many orders to generate")
	file := flag.String("file", "", "read the orders from this file instead")
	flag.Parse()
	if err := run(*orders, *file); err != nil {
		fmt.Fprintln(os.Stderr, "jsonsum:", err)
		os.Exit(1)
	}
}

func run(orders int, file string) error {
	input, err := open(orders, file)
	if err != nil {
		return err
	}
	defer input.Close()
	result, err := summarize(json.NewDecoder(input))
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}

func open(orders int, file string) (io.ReadCloser, error) {
	switch file {
	case "":
		reader, writer := io.Pipe()
		go func() { writer.CloseWithError(generate(writer, orders)) }()
		return reader, nil
	case "-":
		return os.Stdin, nil
	default:
		return os.Open(file)
	}
}

func summarize(decoder *json.Decoder) (summary, error) {
	result := summary{Tags: map[string]int{}}
	regions, products, customers := totals{}, totals{}, totals{}
	for {
		var o order
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return summary{}, fmt.Errorf("order %d: %w", result.Orders+1, err)
		}
		var revenue float64
		for _, l := range o.Lines {
			amount := float64(l.Count) * l.Price
			products.add(l.Product, amount)
			revenue += amount
		}
		regions.add(o.Region, revenue)
		customers.add(o.Customer, revenue)
		for _, tag := range o.Tags {
			result.Tags[strings.ToLower(tag)]++
		}
		result.Orders++
		result.Revenue += revenue
		if result.Orders%progressEvery == 0 {
			fmt.Printf("%d orders, %d customers\n", result.Orders, len(customers))
		}
	}
	result.Regions, result.Products = regions.sorted(), products.sorted()
	best := customers.sorted()
	result.Customers = best[:min(bestCustomers, len(best))]
	return result, nil
}

type totals map[string]*total

func (t totals) add(name string, revenue float64) {
	entry, known := t[name]
	if !known {
		entry = &total{Name: name}
		t[name] = entry
	}
	entry.Orders++
	entry.Revenue += revenue
}

// sorted returns the totals, the highest revenue first.
func (t totals) sorted() []total {
	list := make([]total, 0, len(t))
	for _, entry := range t {
		list = append(list, *entry)
	}
	slices.SortFunc(list, func(a, b total) int {
		return cmp.Or(cmp.Compare(b.Revenue, a.Revenue), cmp.Compare(a.Name, b.Name))
	})
	return list
}

func generate(writer io.Writer, orders int) error {
	random := generator(1)
	encoder := json.NewEncoder(writer)
	for id := 1; id <= orders; id++ {
		if err := encoder.Encode(random.order(id)); err != nil {
			return err
		}
	}
	return nil
}

// generator is a linear congruential generator (Knuth's MMIX constants).
type generator uint64

func (g *generator) below(limit int) int {
	*g = *g*6364136223846793005 + 1442695040888963407
	return int((uint64(*g) >> 33) % uint64(limit))
}

func (g *generator) order(id int) order {
	regions := []string{"north", "south", "east", "west", "überall"}
	tags := []string{"gift", "EXPRESS", "return", "fragile \"glass\""}
	o := order{
		ID:       id,
		Customer: fmt.Sprintf("customer-%04d", g.below(5_000)),
		Region:   regions[g.below(len(regions))],
	}
	for range 1 + g.below(5) {
		o.Lines = append(o.Lines, line{
			Product: fmt.Sprintf("product-%02d", g.below(40)),
			Count:   1 + g.below(9),
			Price:   float64(g.below(10_000)) / 100,
		})
	}
	if g.below(3) == 0 {
		o.Tags = append(o.Tags, tags[g.below(len(tags))])
	}
	return o
}
