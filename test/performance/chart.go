package main

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// bar is one row of the chart: a cost, as a ratio to the floor's. What is better
// when it is more stands upside down, so that shorter is better everywhere.
type bar struct {
	Label  string
	Result spread
	Aim    float64
}

// bars are the ratios that have an aim, of comparisons with the floor.
func bars(outcomes []*outcome) (list []bar) {
	for _, o := range outcomes {
		if o.Sweep != nil {
			continue
		}
		for _, v := range o.verdicts() {
			if v.Aim == nil || v.Kind != asRatio || math.IsNaN(v.Result.Median) || !strings.HasPrefix(v.Opponent, floorName("")) {
				continue
			}
			b := bar{Label: chartTitles[o.Key] + ": " + v.Metric.Name, Result: v.Result, Aim: v.Aim.Bound}
			if v.Metric.High {
				b.Label = chartTitles[o.Key] + ": time per delivery"
				b.Result = spread{1 / v.Result.Median, 1 / v.Result.Max, 1 / v.Result.Min}
				b.Aim = 1 / v.Aim.Bound
			}
			list = append(list, b)
		}
	}
	return list
}

var chartTitles = map[string]string{
	"fanout": "1,000 members, 100/s", "fanout-saturated": "1,000 members, saturated",
	"rooms": "500 rooms of 4, 2,000/s", "rooms-saturated": "500 rooms of 4, saturated",
	"connect": "connect and join", "idle": "idle",
}

// paint is a colour of the chart, which stands in the drawing as a mark and is
// made a variable of the style, with one value for light and one for dark.
type paint struct {
	name, light, dark string
	mark              color.RGBA
}

var (
	paintBack  = paint{"back", "#ffffff", "#0d1117", color.RGBA{1, 2, 3, 255}}
	paintText  = paint{"text", "#1f2328", "#e6edf3", color.RGBA{1, 2, 4, 255}}
	paintGrid  = paint{"grid", "#d1d9e0", "#3d444d", color.RGBA{1, 2, 5, 255}}
	paintBar   = paint{"bar", "#2f81c7", "#4493f8", color.RGBA{1, 2, 6, 255}}
	paintRange = paint{"range", "#0b3a66", "#c6e0ff", color.RGBA{1, 2, 7, 255}}
	paintAim   = paint{"aim", "#bc4c00", "#f0883e", color.RGBA{1, 2, 8, 255}}
	paints     = []paint{paintBack, paintText, paintGrid, paintBar, paintRange, paintAim}
)

// Sizes, in points.
const (
	chartWidth = 720
	rowHeight  = 30
	barHeight  = 14
	labelWidth = 260 // enough for fonts that are wider than the one that the library measures
)

// Plot draws the bars; bar i stands at the height i. It makes a plot.Plotter.
func (c rows) Plot(canvas draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&canvas)
	line := func(style color.Color, width vg.Length, from, to vg.Point) {
		canvas.StrokeLine2(draw.LineStyle{Color: style, Width: width}, from.X, from.Y, to.X, to.Y)
	}
	top, bottom := toY(p.Y.Max), toY(p.Y.Min)
	for _, tick := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		x := toX(tick.Value)
		line(paintGrid.mark, 1, vg.Point{X: x, Y: bottom}, vg.Point{X: x, Y: top})
	}
	for i, b := range c {
		y := toY(float64(i))
		from, to := toX(0), toX(min(b.Result.Median, p.X.Max))
		canvas.FillPolygon(paintBar.mark, []vg.Point{{X: from, Y: y - barHeight/2}, {X: to, Y: y - barHeight/2}, {X: to, Y: y + barHeight/2}, {X: from, Y: y + barHeight/2}})
		line(paintRange.mark, 1.5, vg.Point{X: toX(b.Result.Min), Y: y}, vg.Point{X: toX(min(b.Result.Max, p.X.Max)), Y: y})
		x := toX(b.Aim)
		line(paintAim.mark, 2.5, vg.Point{X: x, Y: y - barHeight*0.75}, vg.Point{X: x, Y: y + barHeight*0.75})
	}
	for i, b := range c {
		y, style := toY(float64(i)), c.textStyle(p)
		canvas.FillText(style, vg.Point{X: toX(0) - labelWidth, Y: y}, b.Label)
		canvas.FillText(style, vg.Point{X: toX(p.X.Max) + 8, Y: y}, fmt.Sprintf("%.2f×", b.Result.Median))
	}
	x := toX(1)
	line(paintText.mark, 1, vg.Point{X: x, Y: bottom}, vg.Point{X: x, Y: top})
}

type rows []bar

// textStyle is that of what stands beside the bars.
func (c rows) textStyle(p *plot.Plot) text.Style {
	style := p.X.Label.TextStyle
	style.XAlign, style.YAlign = text.XLeft, text.YCenter
	return style
}

var _ plot.Plotter = rows(nil)

// drawChart makes an SVG that follows the reader's preference for light or dark.
// Both have a background of their own, so that it can be read on any page.
func drawChart(list []bar) ([]byte, error) {
	if len(list) == 0 {
		return nil, errors.New("there is no ratio to the floor to draw: run the scenarios fanout, rooms, connect or idle")
	}
	list = slices.Clone(list)
	slices.Reverse(list) // the first at the top
	p := plot.New()
	p.BackgroundColor = paintBack.mark
	p.Title.Text = "Sluice with its policy, as a multiple of the best minimal hub"
	p.Title.TextStyle.Color, p.Title.Padding = paintText.mark, 10
	p.Title.TextStyle.Font.Size = 14
	p.X.Label.Text = "less is better · orange: the aim · thin line: least to most of the runs"
	p.X.Min, p.X.Max = 0, 1.5
	for _, b := range list {
		p.X.Max = max(p.X.Max, math.Ceil(min(max(b.Result.Median, b.Aim), 4)*2)/2)
	}
	p.HideY()
	p.Y.Min, p.Y.Max = -0.6, float64(len(list))-0.4
	p.X.Tick.Marker = plot.TickerFunc(func(least, most float64) (ticks []plot.Tick) {
		for v := math.Ceil(least*2) / 2; v <= most+1e-9; v += 0.5 {
			ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%.1f", v)})
		}
		return ticks
	})
	axis := &p.X
	axis.LineStyle.Color, axis.Tick.LineStyle.Color = paintGrid.mark, paintGrid.mark
	axis.Label.TextStyle.Color, axis.Tick.Label.Color = paintText.mark, paintText.mark
	axis.Label.TextStyle.Font.Size, axis.Tick.Label.Font.Size = 11, 11
	axis.Label.TextStyle.Font.Variant, axis.Tick.Label.Font.Variant = "Sans", "Sans"
	p.Title.TextStyle.Font.Variant = "Sans"
	p.Add(rows(list))

	height := vg.Length(len(list)*rowHeight + 110)
	canvas := vgsvg.New(chartWidth, height)
	canvas.SetColor(paintBack.mark)
	canvas.Fill(vg.Rectangle{Max: vg.Point{X: chartWidth, Y: height}}.Path())
	p.Draw(draw.Crop(draw.New(canvas), 10+labelWidth, -60, 10, -14))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, err
	}
	return themed(out.Bytes())
}

// themed makes variables of the marks.
func themed(svg []byte) ([]byte, error) {
	var light, dark strings.Builder
	for _, p := range paints {
		fmt.Fprintf(&light, "--%s:%s;", p.name, p.light)
		fmt.Fprintf(&dark, "--%s:%s;", p.name, p.dark)
		mark := fmt.Sprintf("#%02X%02X%02X", p.mark.R, p.mark.G, p.mark.B)
		svg = bytes.ReplaceAll(svg, []byte(mark), fmt.Appendf(nil, "var(--%s,%s)", p.name, p.light))
	}
	style := fmt.Sprintf("\n<style>:root{%s}@media (prefers-color-scheme:dark){:root{%s}}text{font-family:\"Liberation Sans\",Arial,Helvetica,sans-serif !important}</style>", light.String(), dark.String())
	open := bytes.Index(svg, []byte("<svg"))
	if open < 0 {
		return nil, errors.New("the drawing is no SVG")
	}
	end := open + bytes.IndexByte(svg[open:], '>') + 1
	return slices.Concat(svg[:end], []byte(style), svg[end:]), nil
}

func writeChart(file string, outcomes []*outcome) error {
	svg, err := drawChart(bars(outcomes))
	if err != nil {
		return err
	}
	return os.WriteFile(file, svg, 0o644)
}
